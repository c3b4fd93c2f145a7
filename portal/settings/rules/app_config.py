"""The AppConfig settings by their exact names: what each is, and the gateway that they describe together."""

import json
from dataclasses import dataclass, replace
from typing import Any

from portal.core.rules.limits.frequency_cap import DEFAULT_FREQUENCY_CAP
from portal.core.rules.limits.quiet_hours import DEFAULT_QUIET_HOURS
from portal.core.rules.routing import Mode, Switches
from portal.core.rules.setting_error import SettingError
from portal.core.translation import N_
from portal.core.translation import gettext as _
from portal.gateways.rules.provider_schema import Credentials, SenderSettings
from portal.settings.rules.business_setting import BUSINESS
from portal.settings.rules.encryption import decrypt_secret
from portal.settings.rules.installation_settings import EMAIL_SERVER, LANGUAGE, PUBLIC_URL, REGION, TIME_ZONE
from portal.settings.rules.retention_settings import RETENTION_SETTINGS
from portal.settings.rules.send_settings import APPROVAL, FAILURE_PERCENT, PRICE, SEGMENTS_PER_DAY, UNDO
from portal.settings.rules.setting_kinds import KINDS
from portal.settings.rules.text_limits import FREQUENCY_CAP, QUIET_HOURS, TextLimits
from portal.settings.rules.webhook_setting import WEBHOOK

REPORT_CONSENT = "ReportConsentToTwilio"


@dataclass(frozen=True)
class SettingDefinition:
    """`kind` is a key of `KINDS`. `label`, `help`, `hint` and `warning` are to be translated."""

    name: str
    kind: str
    label: str
    help: str
    can_go_live: bool = False
    """Some value of it could make messages reach people."""
    can_expire: bool = False
    """It can turn itself off at a set time."""
    variable: str = ""
    """The environment variable that takes precedence over it."""
    default: str = ""
    """What is displayed if it is not set."""
    hint: str = ""
    """Below its field, where that is not the help."""
    warning: str = ""
    """Above its field."""

    @property
    def is_json(self) -> bool:
        return KINDS[self.kind].parse is None

    @property
    def is_number(self) -> bool:
        return bool(KINDS[self.kind].keyboard)

    @property
    def is_secret(self) -> bool:
        return KINDS[self.kind].is_secret

    @property
    def channel(self) -> str:
        """The one channel that the setting controls."""
        return "email" if "Email" in self.name else "sms"

    def read_stored(self, text: str, keys: tuple[bytes, ...]) -> Any:
        """The value that is stored as this text. Raises `DecryptionError`."""
        return json.loads(decrypt_secret(text, self.name, keys) if self.is_secret else text)


def _days(kind: str, label: str, help: str) -> SettingDefinition:
    return SettingDefinition(RETENTION_SETTINGS[kind], "days", label, help)


GROUPS: dict[str, tuple[SettingDefinition, ...]] = {
    N_("Text messages"): (
        SettingDefinition("EnableSmsNotifications", "flag", N_("Text messages"),
            N_("Turns SMS on: texts are sent, and pages show SMS features."), can_go_live=True),
    ),
    N_("Gateway"): (
        SettingDefinition("SmsGatewayType", "gateway", N_("Gateway"),
            N_("The provider that sends the texts."), can_go_live=True),
        SettingDefinition("SmsGatewayAuthentication", "authentication", N_("Credentials"),
            N_("The account that sends the texts."), can_go_live=True),
        SettingDefinition("SmsGatewaySettings", "sender", N_("Sender"),
            N_("The number that texts come from, and its rate."), can_go_live=True),
        SettingDefinition(REPORT_CONSENT, "flag", N_("Report consent to Twilio"),
            N_("Tells Twilio of every opt-out and every START, for the sending numbers or the messaging service "
               "above. Needs Twilio’s Consent Management API, which Twilio turns on for an account.")),
    ),
    N_("Override"): (
        SettingDefinition("EnableSmsOverrideNumber", "flag", N_("Override"),
            N_("Sends every text to the override number instead of the person’s own number. Does not affect emails."),
            can_go_live=True, can_expire=True),
        SettingDefinition("SmsOverrideNumber", "phone_number", N_("Override number"),
            N_("Gets every text while the override is on.")),
    ),
    N_("Test mode"): (
        SettingDefinition("EnableSmsTestMode", "flag", N_("Test mode"),
            N_("Uses the test credentials and test sender, so that no real text is sent. Does not affect emails."),
            can_go_live=True, can_expire=True),
        SettingDefinition("TestSmsGatewayAuthentication", "authentication", N_("Test credentials"),
            N_("The account used in test mode. Twilio provides separate test credentials.")),
        SettingDefinition("TestSmsGatewaySettings", "sender", N_("Test sender"),
            N_("The number that texts come from in test mode. Twilio only accepts its magic number +15005550006.")),
    ),
    N_("Email override"): (
        SettingDefinition("EnableEmailOverride", "flag", N_("Email override"),
            N_("Sends every email to the override address instead of the person’s own address. Does not affect texts, "
               "or password emails, which still go to their owner."), can_go_live=True, can_expire=True),
        SettingDefinition("EmailOverrideAddress", "email_address", N_("Override address"),
            N_("Gets every email while the email override is on.")),
    ),
    N_("Limits for texts"): (
        SettingDefinition(QUIET_HOURS, "quiet_hours", N_("Quiet hours"),
            N_("Between these times, where the recipient is, no text is sent that can wait: 20:00 to 08:00 if empty."),
            variable="PORTAL_QUIET_HOURS", default=DEFAULT_QUIET_HOURS,
            hint=N_("Two times, such as 20:00-08:00, or off. Leave empty for the default. Unless it is off, Sundays "
                    "in Texas begin at noon."),
            warning=N_("Federal law (47 CFR 64.1200) allows telephone solicitations from 8:00 to 21:00 where the "
                       "person is; Florida, Maryland, Oklahoma, Oregon and Washington end them at 20:00, and Texas "
                       "begins at noon on Sundays. Courts do not agree whether these rules cover texts, and people "
                       "sue for $500 to $1,500 a text. Shorter quiet hours are your decision.")),
        SettingDefinition(FREQUENCY_CAP, "cap", N_("Texts in 24 hours"),
            N_("A phone number gets at most so many texts that are not urgent: 3 if empty. Emails have no limit."),
            variable="PORTAL_FREQUENCY_CAP", default=DEFAULT_FREQUENCY_CAP,
            hint=N_("A number of texts, such as 3, or off. Leave empty for the default."),
            warning=N_("Oregon allows three telephone solicitations in 24 hours, and people who get too many texts "
                       "reply STOP. A higher limit is your decision.")),
    ),
    N_("Sends"): (
        SettingDefinition(PRICE, "price", N_("Price of a segment"),
            N_("What the provider charges for a segment of a text, in US dollars. If empty, no price is shown.")),
        SettingDefinition(UNDO, "seconds", N_("Time to undo a send"),
            N_("How many seconds a new send waits before it starts: 10 if empty. Urgent templates never wait.")),
        SettingDefinition(APPROVAL, "count", N_("Approval by a second administrator"),
            N_("A send to more people than this waits for approval. If empty, no send does.")),
    ),
    N_("Retention"): (
        _days("bodies", N_("Content of messages"), N_("After so many days only the subject of a message is kept.")),
        _days("events", N_("Delivery history"), N_("Attempts and receipts. The final status of a message stays.")),
        _days("deliveries", N_("Deliveries"), N_("The status of a message on each channel. Totals stay.")),
        _days("inbound", N_("Texts from people"), N_("Their words. Opt-ins and opt-outs stay in the consent ledger.")),
        _days("audit", N_("Audit log"), N_("Entries about erased accounts and about messages sent twice stay.")),
    ),
    N_("Alerts"): (
        SettingDefinition(FAILURE_PERCENT, "percent", N_("Limit for messages not delivered"),
            N_("An alert starts if more than this many percent were not delivered in 24 hours: 5 if empty.")),
        SettingDefinition(SEGMENTS_PER_DAY, "segments", N_("Segments a day"),
            N_("An alert starts when 80 percent of this budget is used, and one at 100 percent. If empty, there is no "
               "budget.")),
        SettingDefinition(WEBHOOK, "webhook", N_("Webhook for alerts"),
            N_("Also sends each alert to an address of yours, signed.")),
    ),
    N_("Installation"): (
        SettingDefinition(PUBLIC_URL, "public_url", N_("Public address"),
            N_("Links and webhooks begin with it: https:// and a name."), variable="PORTAL_PUBLIC_URL"),
        SettingDefinition(REGION, "region", N_("Region"),
            N_("The country of phone numbers typed without a country code."), variable="PORTAL_REGION"),
        SettingDefinition(TIME_ZONE, "time_zone", N_("Time zone"),
            N_("That of new accounts."), variable="PORTAL_TIME_ZONE"),
        SettingDefinition(LANGUAGE, "language", N_("Language of the portal"),
            N_("For people who have not chosen a language: their emails, and pages if their browser asks for none."),
            variable="PORTAL_LANGUAGE"),
        SettingDefinition(EMAIL_SERVER, "mail_server", N_("Mail server"),
            N_("The server that sends the emails, and their sender."), variable="PORTAL_SMTP_URL"),
    ),
    N_("Registration"): (
        SettingDefinition(BUSINESS, "business", N_("Business"),
            N_("Your organization as you register it with carriers, and the support contact of the public pages.")),
    ),
}  # fmt: skip
"""The settings as pages group them."""
DEFINITIONS = {definition.name: definition for group in GROUPS.values() for definition in group}
VARIABLES = {definition.name: definition.variable for definition in GROUPS["Installation"]}
"""The environment variable that takes precedence over each setting of the installation."""


def find_definition(name: str) -> SettingDefinition:
    """Raises `SettingError`."""
    if name not in DEFINITIONS:
        names = {"name": repr(name[:40]), "names": ", ".join(DEFINITIONS)}
        message = _("There is no setting %(name)s. The settings are: %(names)s.", **names)
        raise SettingError.for_key(name, message)
    return DEFINITIONS[name]


@dataclass(frozen=True)
class SendRoute:
    mode: Mode
    credentials: Credentials
    sender: SenderSettings
    override_number: str | None
    limits: TextLimits


@dataclass(frozen=True)
class GatewayConfig:
    """Everything that one attempt needs, read at once, so that no attempt mixes two configurations."""

    switches: Switches
    credentials: Credentials | None
    sender: SenderSettings | None
    limits: TextLimits

    @property
    def send_route(self) -> SendRoute | None:
        """How a text is sent; None while the feature is off or the setup is incomplete."""
        switches = self.switches
        if self.credentials is None or self.sender is None or not (switches.feature_on and switches.configured):
            return None
        return SendRoute(switches.mode, self.credentials, self.sender, switches.override_number, self.limits)

    @property
    def test_message_route(self) -> SendRoute | None:
        """Test texts are sent even while texts are off, to test the setup (docs/consent-rules.md#feature-switch)."""
        return replace(self, switches=replace(self.switches, feature_on=True)).send_route

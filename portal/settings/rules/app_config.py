"""The AppConfig settings by their exact names: what each is, and the gateway that they describe together."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from portal.core.rules.email_address import address_problem
from portal.core.rules.phone import is_e164, is_possible_phone
from portal.core.rules.routing import Mode, Switches
from portal.core.translation import N_
from portal.core.translation import gettext as _
from portal.gateways.rules.provider_schema import Credentials, SenderSettings
from portal.settings.rules.business_setting import BUSINESS
from portal.settings.rules.installation_settings import (
    EMAIL_SERVER,
    INSTALLATION_KINDS,
    PUBLIC_URL,
    REGION,
    TIME_ZONE,
    installation_error,
)
from portal.settings.rules.retention_settings import RETENTION_SETTINGS
from portal.settings.rules.send_settings import (
    APPROVAL,
    FAILURE_PERCENT,
    NUMBER_KINDS,
    PRICE,
    SEGMENTS_PER_DAY,
    UNDO,
    number_rule,
    parse_number,
)
from portal.settings.rules.text_limits import (
    FREQUENCY_CAP,
    LIMIT_DEFAULTS,
    LIMIT_KINDS,
    LIMIT_VARIABLES,
    QUIET_HOURS,
    TextLimits,
    limit_rule,
    parse_limit,
)
from portal.settings.rules.webhook_setting import WEBHOOK

REPORT_CONSENT = "ReportConsentToTwilio"


@dataclass(frozen=True)
class SettingDefinition:
    """`kind` is flag, gateway, phone_number, email_address, authentication, sender, webhook, business, or that of a
    number, of a limit or of an installation.

    `label` and `help` are to be translated. A setting that `can_expire` can turn itself off at a set time.
    """

    name: str
    kind: str
    label: str
    help: str
    can_expire: bool = False

    @property
    def is_json(self) -> bool:
        return self.kind in ("authentication", "sender", "webhook", "mail_server", "business")

    @property
    def is_number(self) -> bool:
        return self.kind in NUMBER_KINDS

    @property
    def is_limit(self) -> bool:
        """It protects people from texts at night, or from too many."""
        return self.kind in LIMIT_KINDS

    @property
    def default(self) -> str:
        """What counts if a limit is not set."""
        return LIMIT_DEFAULTS.get(self.name, "")

    @property
    def variable(self) -> str:
        """The environment variable that counts instead of a limit."""
        return LIMIT_VARIABLES.get(self.name, "")

    @property
    def is_secret(self) -> bool:
        """Encrypted at rest and displayed masked."""
        return self.kind in ("authentication", "webhook", "mail_server")

    @property
    def is_of_installation(self) -> bool:
        """Whether an environment variable may take precedence over it."""
        return self.kind in INSTALLATION_KINDS

    @property
    def channel(self) -> str:
        """The one channel that the setting controls."""
        return "email" if "Email" in self.name else "sms"

    @property
    def can_go_live(self) -> bool:
        """Whether some value of it could make messages reach people."""
        plain = ("phone_number", "email_address", "webhook", "business")
        others = (*plain, *INSTALLATION_KINDS, *LIMIT_KINDS, *NUMBER_KINDS)
        is_switch_or_gateway = self.kind not in others
        return is_switch_or_gateway and self.name != REPORT_CONSENT and not self.name.startswith("Test")


def _days(kind: str, label: str, help: str) -> SettingDefinition:
    return SettingDefinition(RETENTION_SETTINGS[kind], "days", label, help)


GROUPS: dict[str, tuple[SettingDefinition, ...]] = {
    N_("Text messages"): (
        SettingDefinition(
            "EnableSmsNotifications",
            "flag",
            N_("Text messages"),
            N_("Turns SMS on: texts are sent, and pages show SMS features."),
        ),
    ),
    N_("Gateway"): (
        SettingDefinition("SmsGatewayType", "gateway", N_("Gateway"), N_("The provider that sends the texts.")),
        SettingDefinition(
            "SmsGatewayAuthentication", "authentication", N_("Credentials"), N_("The account that sends the texts.")
        ),
        SettingDefinition(
            "SmsGatewaySettings", "sender", N_("Sender"), N_("The number that texts come from, and its rate.")
        ),
        SettingDefinition(
            REPORT_CONSENT,
            "flag",
            N_("Report consent to Twilio"),
            N_(
                "Tells Twilio of every opt-out and every START, for the sending numbers or the messaging service "
                "above. Needs Twilio’s Consent Management API, which Twilio turns on for an account."
            ),
        ),
    ),
    N_("Override"): (
        SettingDefinition(
            "EnableSmsOverrideNumber",
            "flag",
            N_("Override"),
            N_("Sends every text to the override number instead of the person’s own number. Does not affect emails."),
            can_expire=True,
        ),
        SettingDefinition(
            "SmsOverrideNumber", "phone_number", N_("Override number"), N_("Gets every text while the override is on.")
        ),
    ),
    N_("Test mode"): (
        SettingDefinition(
            "EnableSmsTestMode",
            "flag",
            N_("Test mode"),
            N_("Uses the test credentials and test sender, so that no real text is sent. Does not affect emails."),
            can_expire=True,
        ),
        SettingDefinition(
            "TestSmsGatewayAuthentication",
            "authentication",
            N_("Test credentials"),
            N_("The account used in test mode. Twilio provides separate test credentials."),
        ),
        SettingDefinition(
            "TestSmsGatewaySettings",
            "sender",
            N_("Test sender"),
            N_("The number that texts come from in test mode. Twilio only accepts its magic number +15005550006."),
        ),
    ),
    N_("Email override"): (
        SettingDefinition(
            "EnableEmailOverride",
            "flag",
            N_("Email override"),
            N_(
                "Sends every email to the override address instead of the person’s own address. Does not affect texts, "
                "or password emails, which still go to their owner."
            ),
            can_expire=True,
        ),
        SettingDefinition(
            "EmailOverrideAddress",
            "email_address",
            N_("Override address"),
            N_("Gets every email while the email override is on."),
        ),
    ),
    N_("Limits for texts"): (
        SettingDefinition(
            QUIET_HOURS,
            "quiet_hours",
            N_("Quiet hours"),
            N_("Between these times, where the recipient is, no text is sent that can wait: 20:00 to 08:00 if empty."),
        ),
        SettingDefinition(
            FREQUENCY_CAP,
            "cap",
            N_("Texts in 24 hours"),
            N_("A phone number gets at most so many texts that are not urgent: 3 if empty. Emails have no limit."),
        ),
    ),
    N_("Sends"): (
        SettingDefinition(
            PRICE,
            "price",
            N_("Price of a segment"),
            N_("What the provider charges for a segment of a text, in US dollars. If empty, no price is shown."),
        ),
        SettingDefinition(
            UNDO,
            "seconds",
            N_("Time to undo a send"),
            N_("How many seconds a new send waits before it starts: 10 if empty. Urgent templates never wait."),
        ),
        SettingDefinition(
            APPROVAL,
            "count",
            N_("Approval by a second administrator"),
            N_("A send to more people than this waits for approval. If empty, no send does."),
        ),
    ),
    N_("Retention"): (
        _days("bodies", N_("Content of messages"), N_("After so many days only the subject of a message is kept.")),
        _days("events", N_("Delivery history"), N_("Attempts and receipts. The final status of a message stays.")),
        _days("deliveries", N_("Deliveries"), N_("The status of a message on each channel. Totals stay.")),
        _days("inbound", N_("Texts from people"), N_("Their words. Opt-ins and opt-outs stay in the consent ledger.")),
        _days("audit", N_("Audit log"), N_("Entries about erased accounts and about messages sent twice stay.")),
    ),
    N_("Alerts"): (
        SettingDefinition(
            FAILURE_PERCENT,
            "percent",
            N_("Limit for messages not delivered"),
            N_("An alert starts if more than this many percent were not delivered in 24 hours: 5 if empty."),
        ),
        SettingDefinition(
            SEGMENTS_PER_DAY,
            "segments",
            N_("Segments a day"),
            N_("An alert starts when 80% of this budget is used, and one at 100%. If empty, there is no budget."),
        ),
        SettingDefinition(
            WEBHOOK, "webhook", N_("Webhook for alerts"), N_("Also sends each alert to an address of yours, signed.")
        ),
    ),
    N_("Installation"): (
        SettingDefinition(
            PUBLIC_URL, "public_url", N_("Public address"), N_("Links and webhooks begin with it: https:// and a name.")
        ),
        SettingDefinition(
            REGION, "region", N_("Region"), N_("The country of phone numbers typed without a country code.")
        ),
        SettingDefinition(TIME_ZONE, "time_zone", N_("Time zone"), N_("That of new accounts.")),
        SettingDefinition(
            EMAIL_SERVER, "mail_server", N_("Mail server"), N_("The server that sends the emails, and their sender.")
        ),
    ),
    N_("Registration"): (
        SettingDefinition(
            BUSINESS,
            "business",
            N_("Business"),
            N_("Your organization as you register it with carriers, and the support contact of the public pages."),
        ),
    ),
}
"""The settings as pages group them."""
DEFINITIONS = {definition.name: definition for group in GROUPS.values() for definition in group}


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


def text_error(definition: SettingDefinition, text: str, providers: Collection[str]) -> str:
    """A sentence about the invalid text of a setting that is not JSON; "" if it is valid."""
    name, kind = definition.name, definition.kind
    if kind == "flag":
        is_valid = text.lower() in ("true", "false")
        return "" if is_valid else _("%(name)s must be true or false, not %(input)s.", name=name, input=_quoted(text))
    if definition.is_number:
        return "" if _is_valid(parse_number, kind, text) else number_rule(name, kind)
    if definition.is_limit:
        return "" if _is_valid(parse_limit, kind, text) else limit_rule(name, kind)
    if kind == "gateway":
        return "" if text in providers else _gateway_error(name, text, providers)
    if definition.is_of_installation:
        return installation_error(kind, text)
    if kind == "email_address":
        problem = address_problem(text)
        return f"{name}: {problem}" if problem else ""
    if not is_e164(text):
        return _("%(name)s must start with a plus and the country code, such as +12025550100.", name=name)
    return "" if is_possible_phone(text) else _("%(name)s has too few or too many digits for its country.", name=name)


def _is_valid(parse: Callable[[str, str], object], kind: str, text: str) -> bool:
    try:
        parse(kind, text)
    except ValueError:
        return False
    return True


def _gateway_error(name: str, text: str, providers: Collection[str]) -> str:
    values = {"name": name, "providers": ", ".join(providers), "input": _quoted(text)}
    if len(providers) == 1:
        return _("%(name)s must be %(providers)s, the only gateway available, not %(input)s.", **values)
    return _("%(name)s must be one of %(providers)s, not %(input)s.", **values)


def _quoted(text: str) -> str:
    return repr(text[:40])

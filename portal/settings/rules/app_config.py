"""The AppConfig settings by their exact names: what each is, and the gateway that they describe together."""

from collections.abc import Collection
from dataclasses import dataclass, replace

from portal.core.rules.email_address import address_problem
from portal.core.rules.phone import is_e164, is_possible_phone
from portal.core.rules.routing import Mode, Switches
from portal.gateways.rules.provider_schema import Credentials, SenderSettings


@dataclass(frozen=True)
class SettingDefinition:
    """`kind` is flag, gateway, phone_number, email_address, authentication or sender.

    A setting that `can_expire` can turn itself off at a set time.
    """

    name: str
    kind: str
    label: str
    help: str
    can_expire: bool = False

    @property
    def is_json(self) -> bool:
        return self.kind in ("authentication", "sender")

    @property
    def is_secret(self) -> bool:
        """Encrypted at rest and displayed masked."""
        return self.kind == "authentication"

    @property
    def channel(self) -> str:
        """The one channel that the setting controls."""
        return "email" if "Email" in self.name else "sms"

    @property
    def can_go_live(self) -> bool:
        """Whether some value of it could make messages reach people."""
        return self.kind not in ("phone_number", "email_address") and not self.name.startswith("Test")


GROUPS: dict[str, tuple[SettingDefinition, ...]] = {
    "Text messages": (
        SettingDefinition(
            "EnableSmsNotifications",
            "flag",
            "Text messages",
            "Turns SMS on: texts are sent, and pages show SMS features.",
        ),
    ),
    "Gateway": (
        SettingDefinition("SmsGatewayType", "gateway", "Gateway", "The provider that sends the texts."),
        SettingDefinition(
            "SmsGatewayAuthentication", "authentication", "Credentials", "The account that sends the texts."
        ),
        SettingDefinition("SmsGatewaySettings", "sender", "Sender", "The number that texts come from, and its rate."),
    ),
    "Override": (
        SettingDefinition(
            "EnableSmsOverrideNumber",
            "flag",
            "Override",
            "Sends every text to the override number instead of the person’s own number. Does not affect emails.",
            can_expire=True,
        ),
        SettingDefinition(
            "SmsOverrideNumber", "phone_number", "Override number", "Gets every text while the override is on."
        ),
    ),
    "Test mode": (
        SettingDefinition(
            "EnableSmsTestMode",
            "flag",
            "Test mode",
            "Uses the test credentials and test sender, so that no real text is sent. Does not affect emails.",
            can_expire=True,
        ),
        SettingDefinition(
            "TestSmsGatewayAuthentication",
            "authentication",
            "Test credentials",
            "The account used in test mode. Twilio provides separate test credentials.",
        ),
        SettingDefinition(
            "TestSmsGatewaySettings",
            "sender",
            "Test sender",
            "The number that texts come from in test mode. Twilio only accepts its magic number +15005550006.",
        ),
    ),
    "Email override": (
        SettingDefinition(
            "EnableEmailOverride",
            "flag",
            "Email override",
            "Sends every email to the override address instead of the person’s own address. Does not affect texts, or "
            "password emails, which still go to their owner.",
            can_expire=True,
        ),
        SettingDefinition(
            "EmailOverrideAddress",
            "email_address",
            "Override address",
            "Gets every email while the email override is on.",
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


@dataclass(frozen=True)
class GatewayConfig:
    """Everything that one attempt needs, read at once, so that no attempt mixes two configurations."""

    switches: Switches
    credentials: Credentials | None
    sender: SenderSettings | None

    @property
    def send_route(self) -> SendRoute | None:
        """How a text is sent; None while the feature is off or the setup is incomplete."""
        switches = self.switches
        if self.credentials is None or self.sender is None or not (switches.feature_on and switches.configured):
            return None
        return SendRoute(switches.mode, self.credentials, self.sender, switches.override_number)

    @property
    def test_message_route(self) -> SendRoute | None:
        """Test texts are sent even while texts are off, to test the setup (docs/consent-rules.md#feature-switch)."""
        return replace(self, switches=replace(self.switches, feature_on=True)).send_route


def text_problem(kind: str, text: str, providers: Collection[str]) -> str:
    """What is wrong with the text of a setting that is not JSON, to follow its name; "" if nothing is."""
    if kind == "flag":
        return "" if text.lower() in ("true", "false") else f" must be true or false, not {text[:40]!r}."
    if kind == "gateway":
        only = ", the only gateway available" if len(providers) == 1 else ""
        return "" if text in providers else f" must be {' or '.join(providers)}{only}, not {text[:40]!r}."
    if kind == "email_address":
        problem = address_problem(text)
        return f": {problem}" if problem else ""
    if not is_e164(text):
        return " must start with a plus and the country code, such as +12025550100."
    return "" if is_possible_phone(text) else " has too few or too many digits for its country."

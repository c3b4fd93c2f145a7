"""The AppConfig settings by their exact names: what each may hold and what they mean together."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from portal.domain import mail_address, text_input
from portal.domain.allotment import Allotment
from portal.domain.phone import is_e164, is_possible
from portal.domain.rehearsal import EmailRoute
from portal.domain.routing import Mode, Switches
from portal.domain.setting_error import SettingError
from portal.domain.setting_shape import MASK, Shape


@dataclass(frozen=True)
class Definition:
    """`kind` is flag, gateway, number, address, authentication or sender. A secret is sealed at rest and
    shown masked; a setting that `ends` can be switched on until a certain time."""

    name: str
    kind: str
    label: str
    help: str
    secret: bool = False
    ends: bool = False

    @property
    def is_json(self) -> bool:
        return self.kind in ("authentication", "sender")


_DEFINITIONS = (
    Definition(
        "EnableSmsNotifications", "flag", "Text messages", "Switches all of SMS on: texts leave, and people see it."
    ),
    Definition("SmsGatewayType", "gateway", "Gateway", "Who carries the texts."),
    Definition(
        "SmsGatewayAuthentication", "authentication", "Credentials", "What the gateway knows us by.", secret=True
    ),
    Definition("SmsGatewaySettings", "sender", "Sender", "The number that texts come from, and its pace."),
    Definition(
        "EnableSmsOverrideNumber",
        "flag",
        "Override",
        "Sends every text to the override number instead of the person’s own. Emails are not changed by it.",
        ends=True,
    ),
    Definition(
        "SmsOverrideNumber", "number", "Override number", "The number that gets every text while the override is on."
    ),
    Definition(
        "EnableSmsTestMode",
        "flag",
        "Test mode",
        "Uses the test credentials and test sender: no real text leaves. Emails are not changed by it.",
        ends=True,
    ),
    Definition(
        "TestSmsGatewayAuthentication",
        "authentication",
        "Test credentials",
        "What the gateway knows us by in test mode. Twilio has a pair of its own for tests.",
        secret=True,
    ),
    Definition(
        "TestSmsGatewaySettings",
        "sender",
        "Test sender",
        "What texts come from in test mode. Twilio accepts its magic number +15005550006 alone.",
    ),
    Definition(
        "EnableEmailOverride",
        "flag",
        "Email override",
        "Sends every email to the override address instead of the person’s own. Texts are not changed by it, and mails "
        "about passwords still go to their owner.",
        ends=True,
    ),
    Definition(
        "EmailOverrideAddress",
        "address",
        "Override address",
        "The address that gets every email while the email override is on.",
    ),
)
DEFINITIONS: dict[str, Definition] = {definition.name: definition for definition in _DEFINITIONS}


@dataclass(frozen=True)
class Credentials:
    """`user` and `password` of HTTP Basic; `signing_tokens` check webhooks, newest first (docs/twilio.md#api-keys)."""

    account_sid: str
    user: str
    password: str
    signing_tokens: tuple[str, ...] = ()
    provider: str = "Twilio"

    def __repr__(self) -> str:
        return f"Credentials({self.provider}, {self.account_sid})"


@dataclass(frozen=True)
class SenderSettings:
    """`number_type` is a key of `pacing.RATES`; `twilio_answers` the words that the provider answers by itself.

    Every one of `more_numbers` is of the same type, and has the same pace again.
    """

    from_number: str
    messaging_service_sid: str
    segments_per_second: float
    number_type: str = "long_code"
    twilio_answers: frozenset[str] = frozenset({"STOP", "HELP"})
    more_numbers: tuple[str, ...] = ()
    type_is_set: bool = True
    """Otherwise it was worked out from the numbers."""

    @property
    def key(self) -> str:
        """What a pace belongs to: the service if there is one, else the number."""
        return self.messaging_service_sid or self.from_number

    @property
    def numbers(self) -> tuple[str, ...]:
        return (self.from_number, *self.more_numbers)

    @cached_property
    def each(self) -> tuple["SenderSettings", ...]:
        """One for each number that texts come from; a messaging service is one, whatever numbers it has."""
        return tuple(replace(self, from_number=number, more_numbers=()) for number in self.numbers)

    @property
    def rate_of_all(self) -> float:
        """In segments a second, of all numbers together, if all have as much to send."""
        return self.segments_per_second * len(self.numbers)

    @cached_property
    def allotment(self) -> Allotment:
        return Allotment(tuple(one.key for one in self.each))


@dataclass(frozen=True)
class Dialect:
    """How one provider's credentials and senders are written, and what they mean. The functions take sound values."""

    name: str
    authentication: Shape
    sender: Shape
    credentials: Callable[[Mapping[str, Any]], Credentials]
    sender_settings: Callable[[Mapping[str, Any]], SenderSettings]


@dataclass(frozen=True)
class Door:
    mode: Mode
    credentials: Credentials
    sender: SenderSettings
    override_number: str | None


@dataclass(frozen=True)
class Gateway:
    """Everything one attempt needs, taken at one moment, so that no attempt mixes two configurations."""

    switches: Switches
    credentials: Credentials | None
    sender: SenderSettings | None

    @property
    def door(self) -> Door | None:
        """What a text leaves by; None while the feature is off or something is missing."""
        if self.credentials is None or self.sender is None or not self.switches.feature_on:
            return None
        if not self.switches.configured:
            return None
        return Door(self.switches.mode, self.credentials, self.sender, self.switches.override_number)

    @property
    def door_for_tests(self) -> Door | None:
        """Test texts leave while texts are off, to prove the setup first (docs/consent-rules.md#feature-switch)."""
        return replace(self, switches=replace(self.switches, feature_on=True)).door


def parse(name: str, text: str, values: Mapping[str, Any], dialects: Mapping[str, Dialect]) -> Any:
    """The value of a setting from what was typed, beside the `values` that there are. Raises `SettingError`."""
    if name not in DEFINITIONS:
        raise SettingError.of(f"There is no setting {name[:40]!r}. The settings are: {', '.join(DEFINITIONS)}.")
    shape = shape_of(name, values, dialects)
    if shape is not None:
        stored = values.get(name)
        return shape.parse(name, text_input.lines(text).strip(), stored if isinstance(stored, dict) else None)
    if DEFINITIONS[name].is_json:
        raise SettingError.of(
            f"{name} is written as its gateway asks: set SmsGatewayType to {_either(dialects)} first."
        )
    return _PARSERS[DEFINITIONS[name].kind](name, text_input.code(text), dialects)


def dialect_of(values: Mapping[str, Any], dialects: Mapping[str, Dialect]) -> Dialect | None:
    """That of the gateway in force: the first there is until one is chosen, None when the chosen one is not there."""
    return dialects.get(values.get("SmsGatewayType") or next(iter(dialects)))


def shape_of(name: str, values: Mapping[str, Any], dialects: Mapping[str, Dialect]) -> Shape | None:
    """The shape of a JSON setting as the gateway in force writes it; None for the others."""
    dialect = dialect_of(values, dialects)
    if dialect is None:
        return None
    return {"authentication": dialect.authentication, "sender": dialect.sender}.get(DEFINITIONS[name].kind)


def gateway_from(values: Mapping[str, Any], dialects: Mapping[str, Dialect]) -> Gateway:
    """The gateway as the settings stand: test mode picks credentials and sender, the override only the number."""
    dialect = dialect_of(values, dialects)
    test_mode = bool(values.get("EnableSmsTestMode"))
    prefix = "Test" if test_mode else ""
    credentials = _credentials(dialect, values.get(f"{prefix}SmsGatewayAuthentication"))
    sender = _sender(dialect, values.get(f"{prefix}SmsGatewaySettings"))
    override = values.get("SmsOverrideNumber") if values.get("EnableSmsOverrideNumber") else None
    unroutable = bool(values.get("EnableSmsOverrideNumber")) and not override
    switches = Switches(
        feature_on=bool(values.get("EnableSmsNotifications")),
        test_mode=test_mode,
        override_number=override,
        configured=credentials is not None and sender is not None and not unroutable,
    )
    return Gateway(switches, credentials, sender)


def email_route_from(values: Mapping[str, Any]) -> EmailRoute:
    """Where emails go as the settings stand. An address that is of no use counts as none: the emails wait."""
    address = values.get("EmailOverrideAddress")
    usable = isinstance(address, str) and mail_address.problem(address) is None
    return EmailRoute(bool(values.get("EnableEmailOverride")), address if usable else None)


def live_credentials(values: Mapping[str, Any], dialects: Mapping[str, Dialect]) -> Credentials | None:
    """What we are known by when nothing is rehearsed."""
    return _credentials(dialect_of(values, dialects), values.get("SmsGatewayAuthentication"))


def shown(name: str, value: Any, shape: Shape | None) -> str:
    """A setting as it may be shown: secrets by their last four characters."""
    if value is None:
        return ""
    if DEFINITIONS[name].kind == "flag":
        return "true" if value else "false"
    if not isinstance(value, dict):
        return str(value)
    return json.dumps(shape.shown(value) if shape else dict.fromkeys(value, MASK), ensure_ascii=False)


def _parse_flag(name: str, text: str, _dialects: Mapping[str, Dialect]) -> bool:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    raise SettingError.of(f"{name} must be true or false, not {text[:40]!r}.")


def _parse_gateway(name: str, text: str, dialects: Mapping[str, Dialect]) -> str:
    if text in dialects:
        return text
    only = ", the one gateway there is" if len(dialects) == 1 else ""
    raise SettingError.of(f"{name} must be {_either(dialects)}{only}, not {text[:40]!r}.")


def _parse_number(name: str, text: str, _dialects: Mapping[str, Dialect]) -> str:
    if not is_e164(text):
        rule = "in E.164: a plus, the country code and the number, such as +12025550100."
        raise SettingError.of(f"{name} must be {rule}")
    if not is_possible(text):
        rule = "a possible phone number: this has too few or too many digits for its country."
        raise SettingError.of(f"{name} must be {rule}")
    return text


def _parse_address(name: str, text: str, _dialects: Mapping[str, Dialect]) -> str:
    problem = mail_address.problem(text)
    if problem is not None:
        raise SettingError.of(f"{name}: {problem}")
    return text


_PARSERS = {"address": _parse_address, "flag": _parse_flag, "gateway": _parse_gateway, "number": _parse_number}


def _either(dialects: Mapping[str, Dialect]) -> str:
    return " or ".join(dialects)


def _credentials(dialect: Dialect | None, value: Any) -> Credentials | None:
    """None for what is missing, and for what was written for another gateway."""
    if dialect is None or not value or not dialect.authentication.fits(value):
        return None
    return replace(dialect.credentials(value), provider=dialect.name)


def _sender(dialect: Dialect | None, value: Any) -> SenderSettings | None:
    if dialect is None or not value or not dialect.sender.fits(value):
        return None
    return dialect.sender_settings(value)

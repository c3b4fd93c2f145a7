"""The nine AppConfig settings by their exact names (DESIGN.md 6): what each may hold, and what they mean together."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from portal.domain.pacing import DEFAULT_RATE, RATES
from portal.domain.phone import is_e164
from portal.domain.routing import Mode, Switches


class SettingError(ValueError):
    """What is wrong with the value, naming the setting, the key and the rule."""


@dataclass(frozen=True)
class Definition:
    """`kind` is flag, gateway, number, authentication or sender; a secret is sealed at rest and shown masked."""

    name: str
    kind: str
    help: str
    secret: bool = False


_DEFINITIONS = (
    Definition("EnableSmsNotifications", "flag", "Switches all of SMS on: texts leave, and people see it."),
    Definition("SmsGatewayType", "gateway", "Who carries the texts. Twilio is the one there is."),
    Definition("SmsGatewayAuthentication", "authentication", 'Twilio\'s {"AccountSid", "AuthToken"}.', secret=True),
    Definition("SmsGatewaySettings", "sender", '{"FromNumber"} in E.164, or {"MessagingServiceSid"}.'),
    Definition("EnableSmsOverrideNumber", "flag", "Sends every text to the override number instead."),
    Definition("SmsOverrideNumber", "number", "The number that gets every text while the override is on, in E.164."),
    Definition("EnableSmsTestMode", "flag", "Uses the test credentials: nothing real leaves."),
    Definition("TestSmsGatewayAuthentication", "authentication", "Twilio's test credentials.", secret=True),
    Definition("TestSmsGatewaySettings", "sender", '{"FromNumber"} with one of Twilio\'s magic numbers.'),
)
DEFINITIONS: dict[str, Definition] = {definition.name: definition for definition in _DEFINITIONS}

_SID = {
    "AccountSid": re.compile(r"^AC[0-9a-fA-F]{32}$"),
    "ApiKeySid": re.compile(r"^SK[0-9a-fA-F]{32}$"),
    "MessagingServiceSid": re.compile(r"^MG[0-9a-fA-F]{32}$"),
}
_AUTHENTICATION_KEYS = {"AccountSid", "AuthToken", "ApiKeySid", "ApiKeySecret"}
_SENDER_KEYS = {"FromNumber", "MessagingServiceSid", "SegmentsPerSecond", "NumberType", "TwilioAnswers"}
ANSWERED_WORDS = ("STOP", "HELP", "START")
"""What a provider can be set up to answer by itself, so that we do not answer a second time."""
_SHORT_CODE = re.compile(r"[0-9]{5,6}\Z")
_LEAST_SEGMENTS_PER_SECOND, _MOST_SEGMENTS_PER_SECOND = 0.01, 1_000
_SHORT_SECRET = 8


@dataclass(frozen=True)
class Credentials:
    """`user` and `password` of HTTP Basic; `signing_tokens` check webhooks, newest first (TWILIO.md 2.5)."""

    account_sid: str
    user: str
    password: str
    signing_tokens: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Credentials({self.account_sid})"


@dataclass(frozen=True)
class SenderSettings:
    """`number_type` is a key of `pacing.RATES`; `twilio_answers` the words that the provider answers by itself."""

    from_number: str
    messaging_service_sid: str
    segments_per_second: float
    number_type: str = "long_code"
    twilio_answers: frozenset[str] = frozenset({"STOP", "HELP"})

    @property
    def key(self) -> str:
        """What a pace belongs to: the service if there is one, else the number."""
        return self.messaging_service_sid or self.from_number


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


def parse(name: str, text: str) -> Any:
    """The value of a setting from what was typed. Raises `SettingError`."""
    definition = DEFINITIONS.get(name)
    if definition is None:
        raise SettingError(f"There is no setting {name!r}. The settings are: {', '.join(DEFINITIONS)}.")
    return _PARSERS[definition.kind](name, text.strip())


def gateway_from(values: Mapping[str, Any]) -> Gateway:
    """The gateway as the settings stand: test mode picks credentials and sender, the override only the number."""
    test_mode = bool(values.get("EnableSmsTestMode"))
    prefix = "Test" if test_mode else ""
    credentials = _credentials(values.get(f"{prefix}SmsGatewayAuthentication"))
    sender = _sender(values.get(f"{prefix}SmsGatewaySettings"))
    override = values.get("SmsOverrideNumber") if values.get("EnableSmsOverrideNumber") else None
    unroutable = bool(values.get("EnableSmsOverrideNumber")) and not override
    switches = Switches(
        feature_on=bool(values.get("EnableSmsNotifications")),
        test_mode=test_mode,
        override_number=override,
        configured=credentials is not None and sender is not None and not unroutable,
    )
    return Gateway(switches, credentials, sender)


def shown(name: str, value: Any) -> str:
    """A setting as it may be shown: a secret by its last four characters."""
    definition = DEFINITIONS[name]
    if value is None:
        return ""
    if definition.kind == "authentication":
        return json.dumps({key: _masked(key, str(text)) for key, text in value.items()})
    if definition.kind == "flag":
        return "true" if value else "false"
    return json.dumps(value) if isinstance(value, dict) else str(value)


def _masked(key: str, text: str) -> str:
    return text if key in _SID else f"••••{text[-4:] if len(text) > _SHORT_SECRET else ''}"


def _parse_flag(name: str, text: str) -> bool:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    raise SettingError(f"{name} must be true or false, not {text!r}.")


def _parse_gateway(name: str, text: str) -> str:
    if text == "Twilio":
        return text
    raise SettingError(f"{name} must be Twilio, the one gateway there is, not {text!r}.")


def _parse_number(name: str, text: str) -> str:
    if is_e164(text):
        return text
    raise SettingError(f"{name} must be in E.164: a plus, the country code and the number, such as +12025550100.")


def _parse_authentication(name: str, text: str) -> dict[str, str]:
    value = _object(name, text, _AUTHENTICATION_KEYS)
    _check_strings(name, value)
    if "AccountSid" not in value:
        raise SettingError(f'{name} needs "AccountSid".')
    if ("ApiKeySid" in value) != ("ApiKeySecret" in value):
        raise SettingError(f'{name}: "ApiKeySid" and "ApiKeySecret" go together.')
    if "AuthToken" not in value and "ApiKeySid" not in value:
        raise SettingError(f'{name} needs "AuthToken", or both "ApiKeySid" and "ApiKeySecret".')
    return value


def _parse_sender(name: str, text: str) -> dict[str, Any]:
    value = _object(name, text, _SENDER_KEYS)
    if "FromNumber" not in value and "MessagingServiceSid" not in value:
        raise SettingError(f'{name} needs "FromNumber" in E.164, such as {{"FromNumber": "+12025550100"}}.')
    _check_strings(
        name, {key: item for key, item in value.items() if key not in ("SegmentsPerSecond", "TwilioAnswers")}
    )
    if "FromNumber" in value and not _is_from(value["FromNumber"]):
        raise SettingError(
            f'{name}: "FromNumber" must be in E.164, such as +12025550100, or a short code of 5-6 digits.'
        )
    if value.get("NumberType", "long_code") not in RATES:
        raise SettingError(f'{name}: "NumberType" must be one of {", ".join(RATES)}.')
    _check_rate(name, value.get("SegmentsPerSecond", DEFAULT_RATE))
    _check_answers(name, value.get("TwilioAnswers", []))
    return value


_PARSERS = {
    "flag": _parse_flag,
    "gateway": _parse_gateway,
    "number": _parse_number,
    "authentication": _parse_authentication,
    "sender": _parse_sender,
}


def _object(name: str, text: str, allowed: set[str]) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise SettingError(f"{name} is not JSON: {error.msg} at line {error.lineno}, column {error.colno}.") from error
    except (ValueError, RecursionError) as error:
        raise SettingError(
            f"{name} is not JSON of a setting: it is nested too deep or a number is too long."
        ) from error
    if not isinstance(value, dict):
        raise SettingError(f"{name} must be a JSON object such as {{...}}.")
    for key in value:
        if key not in allowed:
            raise SettingError(f'{name}: there is no key "{key}". The keys are {", ".join(sorted(allowed))}.')
    return value


def _check_strings(name: str, value: Mapping[str, Any]) -> None:
    for key, item in value.items():
        if not isinstance(item, str) or not item or not item.isprintable():
            raise SettingError(f'{name}: "{key}" must be text and not empty.')
        if key in _SID and not _SID[key].match(item):
            raise SettingError(f'{name}: "{key}" must be {_SID[key].pattern[1:3]} followed by 32 hexadecimal digits.')


def _check_rate(name: str, rate: Any) -> None:
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not _in_range(rate):
        raise SettingError(
            f'{name}: "SegmentsPerSecond" must be a number above 0 and at most {_MOST_SEGMENTS_PER_SECOND:,} '
            f"(the least is {_LEAST_SEGMENTS_PER_SECOND})."
        )


def _check_answers(name: str, words: Any) -> None:
    if not isinstance(words, list) or not all(word in ANSWERED_WORDS for word in words):
        raise SettingError(f'{name}: "TwilioAnswers" must be a list of some of {", ".join(ANSWERED_WORDS)}, or [].')


def _in_range(rate: float) -> bool:
    return _LEAST_SEGMENTS_PER_SECOND <= rate <= _MOST_SEGMENTS_PER_SECOND


def _is_from(text: str) -> bool:
    return is_e164(text) or bool(_SHORT_CODE.match(text))


def _credentials(value: Mapping[str, str] | None) -> Credentials | None:
    if not value:
        return None
    by_key = "ApiKeySid" in value
    user, password = (
        (value["ApiKeySid"], value["ApiKeySecret"]) if by_key else (value["AccountSid"], value["AuthToken"])
    )
    return Credentials(value["AccountSid"], user, password, tuple(filter(None, [value.get("AuthToken", "")])))


def _sender(value: Mapping[str, Any] | None) -> SenderSettings | None:
    if not value:
        return None
    number_type = value.get("NumberType") or _type_of(value.get("FromNumber", ""))
    service = value.get("MessagingServiceSid", "")
    rate = value.get("SegmentsPerSecond", RATES[number_type])
    answers = value.get("TwilioAnswers", _answers(number_type, service))
    return SenderSettings(value.get("FromNumber", ""), service, float(rate), number_type, frozenset(answers))


def _type_of(from_number: str) -> str:
    return "short_code" if _SHORT_CODE.match(from_number) else "long_code"


def _answers(number_type: str, service: str) -> tuple[str, ...]:
    """For a short code alone Twilio does nothing; for the others it answers STOP and HELP itself (TWILIO.md 4)."""
    return () if number_type == "short_code" and not service else ("STOP", "HELP")

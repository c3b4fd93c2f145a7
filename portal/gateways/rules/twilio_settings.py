"""Twilio's credentials and senders in AppConfig (docs/twilio.md#api-keys, docs/twilio.md#number-types)."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from portal.core.rules.pacing import RATES
from portal.core.rules.phone import is_e164, is_possible_phone
from portal.core.rules.setting_error import quote_input
from portal.core.rules.setting_schema import SettingField, SettingSchema
from portal.core.translation import N_
from portal.gateways.rules.provider_schema import Credentials, ProviderSchema, SenderSettings
from portal.gateways.rules.twilio_resources import infer_number_type, is_short_code

_MIN_SEGMENTS_PER_SECOND, _MAX_SEGMENTS_PER_SECOND = 0.01, 1_000
_NUMBER_TYPES = {
    "long_code": N_("Long code, a number of ten digits"),
    "toll_free": N_("Toll-free number"),
    "short_code": N_("Short code, five or six digits"),
}
_MAX_ADDITIONAL_NUMBERS = 9
_ADDITIONAL_NUMBERS_HELP = N_(
    "Optional, one per line. Texts are also sent from these numbers, each at the rate below. Recipients who texted "
    "START to a number keep getting texts from it; all others are distributed evenly, and each always gets them from "
    "the same number. To replace a number, put the new one in its place, so that no other recipient changes."
)
_RATE_HELP = (
    f"The rate that Twilio allows for each number. Default: {RATES['long_code']:g} for a long code, "
    f"{RATES['toll_free']:g} for a toll-free number, {RATES['short_code']:g} for a short code."
)
_AUTO_REPLY_KEYWORDS = {"STOP": "STOP", "HELP": "HELP"}


def _sid_check(prefix: str) -> Callable[[Any], str]:
    pattern = re.compile(rf"{prefix}[0-9a-fA-F]{{32}}\Z")
    return lambda value: "" if pattern.match(value) else f"must be {prefix} followed by 32 hexadecimal digits."


def _check_sender_number(value: Any) -> str:
    if is_possible_phone(value) or is_short_code(value):
        return ""
    if is_e164(value):
        return "must be a possible phone number: this one has too few or too many digits for its country."
    return "must be in E.164, such as +12025550100, or a short code of 5-6 digits."


def _check_additional_numbers(values: Any) -> str:
    if len(values) > _MAX_ADDITIONAL_NUMBERS:
        return f"has {len(values)} numbers, at most {_MAX_ADDITIONAL_NUMBERS}: use a messaging service for more."
    invalid = [value for value in values if _check_sender_number(value)]
    return f"has {quote_input(invalid[0])}, which {_check_sender_number(invalid[0])}" if invalid else ""


def _check_rate(value: Any) -> str:
    if _MIN_SEGMENTS_PER_SECOND <= value <= _MAX_SEGMENTS_PER_SECOND:
        return ""
    return f"must be a number from {_MIN_SEGMENTS_PER_SECOND} to {_MAX_SEGMENTS_PER_SECOND:,}."


def _check_credentials(value: Mapping[str, Any]) -> dict[str, str]:
    if "AccountSid" not in value:
        return {"AccountSid": ' needs "AccountSid".'}
    for key, other in (("ApiKeySid", "ApiKeySecret"), ("ApiKeySecret", "ApiKeySid")):
        if key in value and other not in value:
            return {other: ': "ApiKeySid" and "ApiKeySecret" go together.'}
    if "AuthToken" not in value and "ApiKeySid" not in value:
        return {"AuthToken": ' needs "AuthToken", or both "ApiKeySid" and "ApiKeySecret".'}
    if "PreviousAuthToken" in value and "AuthToken" not in value:
        return {"AuthToken": ' needs "AuthToken" in addition to "PreviousAuthToken".'}
    return {}


def _check_senders(value: Mapping[str, Any]) -> dict[str, str]:
    if "FromNumber" not in value and "MessagingServiceSid" not in value:
        return {"FromNumber": ' needs "FromNumber" in E.164, such as {"FromNumber": "+12025550100"}.'}
    return _check_number_list(value) if "MoreNumbers" in value else {}


def _check_number_list(value: Mapping[str, Any]) -> dict[str, str]:
    """A messaging service chooses among its own numbers, so it excludes a list."""
    if "MessagingServiceSid" in value:
        return {"MoreNumbers": ': leave out "MoreNumbers": the messaging service chooses among its own numbers.'}
    numbers = [value["FromNumber"], *value["MoreNumbers"]]
    if len(set(numbers)) < len(numbers):
        return {"MoreNumbers": ': "MoreNumbers" has a number twice, or repeats the FromNumber.'}
    if len({is_short_code(number) for number in numbers}) > 1:
        rule = '"MoreNumbers" must have the same type as the FromNumber'
        return {"MoreNumbers": f": {rule}: all of them have the same rate."}
    return {}


def _check_number_type(value: Mapping[str, Any]) -> dict[str, str]:
    """The type determines the rate, the auto-replies and which keywords opt in, so an impossible type is refused."""
    number, number_type = value.get("FromNumber", ""), value.get("NumberType", "")
    if is_short_code(number) and number_type in ("long_code", "toll_free"):
        return {"NumberType": f': "NumberType" must be short_code: the FromNumber {number} has {len(number)} digits.'}
    numbers = [number, *value.get("MoreNumbers", ())]
    if not number_type and len({infer_number_type(item) for item in numbers}) > 1:
        rule = '"MoreNumbers" must have the same type as the FromNumber, toll-free or not.'
        return {"MoreNumbers": f': {rule} Set "NumberType" if they do.'}
    if number_type == "toll_free" and any(is_e164(item) and not item.startswith("+1") for item in numbers):
        return {"NumberType": ': "NumberType" toll_free requires numbers in the United States or Canada (+1).'}
    return {}


def _build_credentials(value: Mapping[str, Any]) -> Credentials:
    user, password = ("ApiKeySid", "ApiKeySecret") if "ApiKeySid" in value else ("AccountSid", "AuthToken")
    tokens = (value.get("AuthToken"), value.get("PreviousAuthToken"))
    return Credentials(value["AccountSid"], value[user], value[password], tuple(filter(None, tokens)))


def _build_sender_settings(value: Mapping[str, Any]) -> SenderSettings:
    number, service = value.get("FromNumber", ""), value.get("MessagingServiceSid", "")
    number_type = value.get("NumberType") or infer_number_type(number)
    rate = value.get("SegmentsPerSecond", RATES[number_type])
    # Twilio replies to STOP and HELP, except on a short code without a service (docs/twilio.md#auto-replies)
    replied_by_default = () if number_type == "short_code" and not service else ("STOP", "HELP")
    keywords = value.get("TwilioAnswers", replied_by_default)
    additional = tuple(value.get("MoreNumbers", ()))
    is_explicit = "NumberType" in value
    return SenderSettings(number, service, float(rate), number_type, frozenset(keywords), additional, is_explicit)


def _derived_values(value: Mapping[str, Any]) -> dict[str, str]:
    """The type inferred from the number, and the rate inferred from the type."""
    sender = _build_sender_settings(value)
    derived: dict[str, str] = {}
    if not sender.has_explicit_type:
        label = _NUMBER_TYPES[sender.number_type].partition(",")[0]
        reason = "inferred from the number" if sender.from_number else "because no number is set"
        derived["NumberType"] = f"{label}, {reason}"
    if "SegmentsPerSecond" not in value:
        derived["SegmentsPerSecond"] = f"{sender.segments_per_second:g}, by the type of number"
    return derived


_CREDENTIAL_FIELDS = (
    SettingField("AccountSid", N_("Account SID"), N_("AC and 32 digits, from the first page of Twilio’s console."),
                 check_value=_sid_check("AC")),
    SettingField("AuthToken", N_("Auth token"),
                 N_("Signs Twilio’s webhooks, and authenticates API requests unless there is an API key."), "secret"),
    SettingField("PreviousAuthToken", N_("Previous auth token"),
                 N_("Still accepted in webhook signatures during a rotation."), "secret"),
    SettingField("ApiKeySid", N_("API key SID"), N_("Optional: SK and 32 digits. Authenticates API requests."),
                 check_value=_sid_check("SK")),
    SettingField("ApiKeySecret", N_("API key secret"), N_("The secret of the API key."), "secret",
                 required_with="ApiKeySid"),
)  # fmt: skip
_SENDER_FIELDS = (
    SettingField("FromNumber", N_("From number"), N_("In E.164, such as +12025550100, or a short code."),
                 check_value=_check_sender_number),
    SettingField("MoreNumbers", N_("Additional numbers"), _ADDITIONAL_NUMBERS_HELP, "text_list",
                 check_value=_check_additional_numbers, live_only=True),
    SettingField("MessagingServiceSid", N_("Messaging service SID"), N_("Optional: MG and 32 digits."),
                 check_value=_sid_check("MG")),
    SettingField("NumberType", N_("Type of number"), "", "choice", _NUMBER_TYPES),
    SettingField("SegmentsPerSecond", N_("Segments per second"), _RATE_HELP, "number", check_value=_check_rate),
    SettingField("TwilioAnswers", N_("Keywords that Twilio replies to"), "", "choice_list", _AUTO_REPLY_KEYWORDS),
)  # fmt: skip
TWILIO_SCHEMA = ProviderSchema(
    name="Twilio",
    credentials_schema=SettingSchema(
        fields=_CREDENTIAL_FIELDS,
        cross_field_rules=_check_credentials,
    ),
    sender_schema=SettingSchema(
        fields=_SENDER_FIELDS,
        cross_field_rules=lambda value: _check_senders(value) or _check_number_type(value),
        derived_values=_derived_values,
    ),
    build_credentials=_build_credentials,
    build_sender_settings=_build_sender_settings,
)

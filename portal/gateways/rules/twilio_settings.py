"""Twilio's credentials and senders in AppConfig (docs/twilio.md#api-keys, docs/twilio.md#number-types)."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from portal.core.rules.pacing import RATES
from portal.core.rules.phone import is_e164, is_possible_phone
from portal.core.rules.setting_error import quote_input
from portal.core.rules.setting_schema import SettingField, SettingSchema
from portal.gateways.rules.provider_schema import Credentials, ProviderSchema, SenderSettings
from portal.gateways.rules.twilio_resources import infer_number_type, is_short_code

_MIN_SEGMENTS_PER_SECOND, _MAX_SEGMENTS_PER_SECOND = 0.01, 1_000
_NUMBER_TYPES = {
    "long_code": "Long code, a number of ten digits",
    "toll_free": "Toll-free number",
    "short_code": "Short code, five or six digits",
}
_MAX_ADDITIONAL_NUMBERS = 9
_ADDITIONAL_NUMBERS_HELP = (
    "Optional, one on a line: texts come from these too, each at the pace below. Whoever texted START to one of our "
    "numbers goes on getting texts from it; everybody else is shared out, and always gets them from the same one. "
    "To exchange a number, put the new one in its place: then nobody else changes."
)
_RATE_HELP = (
    f"The pace that Twilio allows for each number. Left empty: {RATES['long_code']:g} for a long code, "
    f"{RATES['toll_free']:g} for a toll-free number, {RATES['short_code']:g} for a short code."
)
_AUTO_REPLY_KEYWORDS = {"STOP": "STOP", "HELP": "HELP"}
_DEPRECATED_KEYWORDS = ("START",)
"""What follows START is the welcome text, whatever Twilio answers beside it: nothing ever asked for this word."""


def _sid_check(prefix: str) -> Callable[[Any], str]:
    pattern = re.compile(rf"{prefix}[0-9a-fA-F]{{32}}\Z")
    return lambda value: "" if pattern.match(value) else f"must be {prefix} followed by 32 hexadecimal digits."


def _check_sender_number(value: Any) -> str:
    if is_possible_phone(value) or is_short_code(value):
        return ""
    if is_e164(value):
        return "must be a possible phone number: this has too few or too many digits for its country."
    return "must be in E.164, such as +12025550100, or a short code of 5-6 digits."


def _check_additional_numbers(values: Any) -> str:
    if len(values) > _MAX_ADDITIONAL_NUMBERS:
        return (
            f"names {len(values)} numbers, at most {_MAX_ADDITIONAL_NUMBERS}: more of them are for a messaging service."
        )
    wrong = [value for value in values if _check_sender_number(value)]
    return f"has {quote_input(wrong[0])}, which {_check_sender_number(wrong[0])}" if wrong else ""


def _check_rate(value: Any) -> str:
    if _MIN_SEGMENTS_PER_SECOND <= value <= _MAX_SEGMENTS_PER_SECOND:
        return ""
    least, most = _MIN_SEGMENTS_PER_SECOND, _MAX_SEGMENTS_PER_SECOND
    return f"must be a number above 0 and at most {most:,} (the least is {least})."


def _check_credentials(value: Mapping[str, Any]) -> dict[str, str]:
    if "AccountSid" not in value:
        return {"AccountSid": ' needs "AccountSid".'}
    for one, other in (("ApiKeySid", "ApiKeySecret"), ("ApiKeySecret", "ApiKeySid")):
        if one in value and other not in value:
            return {other: ': "ApiKeySid" and "ApiKeySecret" go together.'}
    if "AuthToken" not in value and "ApiKeySid" not in value:
        return {"AuthToken": ' needs "AuthToken", or both "ApiKeySid" and "ApiKeySecret".'}
    if "PreviousAuthToken" in value and "AuthToken" not in value:
        return {"AuthToken": ' needs "AuthToken" beside "PreviousAuthToken".'}
    return {}


def _check_sender_settings(value: Mapping[str, Any]) -> dict[str, str]:
    if "FromNumber" not in value and "MessagingServiceSid" not in value:
        return {"FromNumber": ' needs "FromNumber" in E.164, such as {"FromNumber": "+12025550100"}.'}
    return _check_number_list(value) if "MoreNumbers" in value else {}


def _check_number_list(value: Mapping[str, Any]) -> dict[str, str]:
    """Where a messaging service chooses, nothing is ours to share out."""
    if "MessagingServiceSid" in value:
        return {"MoreNumbers": ': leave out "MoreNumbers": the messaging service chooses among numbers of its own.'}
    numbers = [value["FromNumber"], *value["MoreNumbers"]]
    if len(set(numbers)) < len(numbers):
        return {"MoreNumbers": ': "MoreNumbers" names a number twice, or the FromNumber again.'}
    if len({is_short_code(number) for number in numbers}) > 1:
        return {"MoreNumbers": ': "MoreNumbers" must be of the FromNumber’s type: all of them have one pace.'}
    return {}


def _check_number_type(value: Mapping[str, Any]) -> dict[str, str]:
    """The type decides on pace, answers and what reopens a number, so one that cannot be is no small mistake."""
    number, number_type = value.get("FromNumber", ""), value.get("NumberType", "")
    if is_short_code(number) and number_type in ("long_code", "toll_free"):
        return {"NumberType": f': "NumberType" must be short_code: the FromNumber {number} has {len(number)} digits.'}
    numbers = [number, *value.get("MoreNumbers", ())]
    if not number_type and len({infer_number_type(one) for one in numbers}) > 1:
        more = '"MoreNumbers" must be of the FromNumber’s type, toll-free or not: all of them have one pace.'
        return {"MoreNumbers": f': {more} Set "NumberType" if they do.'}
    if number_type == "toll_free" and any(is_e164(one) and not one.startswith("+1") for one in numbers):
        return {"NumberType": ': "NumberType" toll_free goes with numbers of +1 alone, the United States and Canada.'}
    return {}


def _build_credentials(value: Mapping[str, Any]) -> Credentials:
    by_key = "ApiKeySid" in value
    user, password = ("ApiKeySid", "ApiKeySecret") if by_key else ("AccountSid", "AuthToken")
    tokens = (value.get("AuthToken"), value.get("PreviousAuthToken"))
    return Credentials(value["AccountSid"], value[user], value[password], tuple(filter(None, tokens)))


def _build_sender_settings(value: Mapping[str, Any]) -> SenderSettings:
    number, service = value.get("FromNumber", ""), value.get("MessagingServiceSid", "")
    number_type = value.get("NumberType") or _infer_number_type(value)
    rate = value.get("SegmentsPerSecond", RATES[number_type])
    answers = value.get("TwilioAnswers", _default_auto_replies(number_type, service))
    more = tuple(value.get("MoreNumbers", ()))
    is_set = "NumberType" in value
    return SenderSettings(number, service, float(rate), number_type, frozenset(answers), more, is_set)


def _infer_number_type(value: Mapping[str, Any]) -> str:
    """As the digits say; of numbers that are not of one type, which may have been stored, that of the slowest."""
    numbers = (value.get("FromNumber", ""), *value.get("MoreNumbers", ()))
    return min((infer_number_type(number) for number in numbers), key=RATES.__getitem__)


def _derived_values(value: Mapping[str, Any]) -> dict[str, str]:
    """The type by the number, and the pace by the type."""
    found = _build_sender_settings(value)
    told: dict[str, str] = {}
    if not found.has_explicit_type:
        known = _NUMBER_TYPES[found.number_type].partition(",")[0]
        told["NumberType"] = (
            f"{known}, {'worked out from the number' if found.from_number else 'as no number is given'}"
        )
    if "SegmentsPerSecond" not in value:
        told["SegmentsPerSecond"] = f"{found.segments_per_second:g}, by the type of number"
    return told


def _default_auto_replies(number_type: str, service: str) -> tuple[str, ...]:
    """Twilio answers STOP and HELP itself, except at a short code without a service (docs/twilio.md#auto-replies)."""
    return () if number_type == "short_code" and not service else ("STOP", "HELP")


TWILIO_SCHEMA = ProviderSchema(
    name="Twilio",
    credentials_schema=SettingSchema(
        fields=(
            SettingField(
                "AccountSid",
                "Account SID",
                "AC and 32 digits, from the first page of Twilio’s console.",
                check_value=_sid_check("AC"),
            ),
            SettingField(
                "AuthToken",
                "Auth token",
                "It signs Twilio’s webhooks, and signs us in unless there is an API key.",
                "secret",
            ),
            SettingField(
                "PreviousAuthToken",
                "Previous auth token",
                "Still accepted from webhooks while it is replaced.",
                "secret",
            ),
            SettingField(
                "ApiKeySid",
                "API key SID",
                "Optional: SK and 32 digits. Then the key signs us in.",
                check_value=_sid_check("SK"),
            ),
            SettingField(
                "ApiKeySecret", "API key secret", "Goes with the API key SID.", "secret", required_with="ApiKeySid"
            ),
        ),
        example={"AccountSid": "AC" + "0" * 32, "AuthToken": "0" * 32},
        cross_field_rules=_check_credentials,
    ),
    sender_schema=SettingSchema(
        fields=(
            SettingField(
                "FromNumber",
                "From number",
                "In E.164, such as +12025550100, or a short code.",
                check_value=_check_sender_number,
            ),
            SettingField(
                "MoreNumbers",
                "Further numbers",
                _ADDITIONAL_NUMBERS_HELP,
                "text_list",
                check_value=_check_additional_numbers,
                live_only=True,
            ),
            SettingField(
                "MessagingServiceSid",
                "Messaging service SID",
                "Optional: MG and 32 digits.",
                check_value=_sid_check("MG"),
            ),
            SettingField("NumberType", "Type of number", "", "choice", _NUMBER_TYPES),
            SettingField("SegmentsPerSecond", "Segments per second", _RATE_HELP, "number", check_value=_check_rate),
            SettingField(
                "TwilioAnswers",
                "Words that Twilio answers by itself",
                "",
                "choice_list",
                _AUTO_REPLY_KEYWORDS,
                deprecated_choices=_DEPRECATED_KEYWORDS,
            ),
        ),
        example={"FromNumber": "+12025550100"},
        cross_field_rules=_check_sender_settings,
        new_value_rules=_check_number_type,
        derived_values=_derived_values,
    ),
    build_credentials=_build_credentials,
    build_sender_settings=_build_sender_settings,
)

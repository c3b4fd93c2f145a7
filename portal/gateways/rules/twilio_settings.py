"""Twilio's credentials and senders in AppConfig (docs/twilio.md#api-keys, docs/twilio.md#number-types)."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from portal.core.rules.pacing import RATES
from portal.core.rules.phone import is_e164, is_possible_phone
from portal.core.rules.setting_error import key_label, quote_input
from portal.core.rules.setting_schema import SettingField, SettingSchema
from portal.core.translation import N_
from portal.core.translation import gettext as _
from portal.gateways.rules.provider_schema import Credentials, ProviderSchema, SenderSettings
from portal.gateways.rules.twilio_resources import infer_number_type, is_short_code

_MIN_SEGMENTS_PER_SECOND, _MAX_SEGMENTS_PER_SECOND = 0.01, 1_000
_NUMBER_TYPES = {
    "long_code": N_("Long code, a number of ten digits"),
    "toll_free": N_("Toll-free number"),
    "short_code": N_("Short code, five or six digits"),
}
_INFERRED_TYPES = {
    "long_code": N_("Long code, inferred from the number"),
    "toll_free": N_("Toll-free number, inferred from the number"),
    "short_code": N_("Short code, inferred from the number"),
}
_MAX_ADDITIONAL_NUMBERS = 9
_ADDITIONAL_NUMBERS_HELP = N_(
    "Optional, one per line. Texts are also sent from these numbers, each at the rate below. Recipients who texted "
    "START to a number keep getting texts from it; all others are distributed evenly, and each always gets them from "
    "the same number. To replace a number, put the new one in its place, so that no other recipient changes."
)
_RATE_HELP = N_(
    "The rate that Twilio allows for each number. Default: 1 for a long code, 3 for a toll-free number, 100 for a "
    "short code."
)
_AUTO_REPLY_KEYWORDS = {"STOP": "STOP", "HELP": "HELP"}


def _sid_check(prefix: str) -> Callable[[str, Any], str]:
    pattern = re.compile(rf"{prefix}[0-9a-fA-F]{{32}}\Z")

    def check(key: str, value: Any) -> str:
        if pattern.match(value):
            return ""
        return _("%(key)s must be %(prefix)s followed by 32 hexadecimal digits.", key=key, prefix=prefix)

    return check


def _check_sender_number(key: str, value: Any) -> str:
    if is_possible_phone(value) or is_short_code(value):
        return ""
    if is_e164(value):
        return _(
            "%(key)s must be a possible phone number: this one has too few or too many digits for its country.", key=key
        )
    return _("%(key)s must be in E.164, such as +12025550100, or a short code of 5-6 digits.", key=key)


def _check_additional_numbers(key: str, values: Any) -> str:
    if len(values) > _MAX_ADDITIONAL_NUMBERS:
        return _(
            "%(key)s has %(count)s numbers, at most %(limit)s: use a messaging service for more.",
            key=key,
            count=len(values),
            limit=_MAX_ADDITIONAL_NUMBERS,
        )
    errors = (_check_sender_number(f"{key}: {quote_input(value)}", value) for value in values)
    return next(filter(None, errors), "")


def _check_rate(key: str, value: Any) -> str:
    if _MIN_SEGMENTS_PER_SECOND <= value <= _MAX_SEGMENTS_PER_SECOND:
        return ""
    limits = {"lowest": _MIN_SEGMENTS_PER_SECOND, "highest": _MAX_SEGMENTS_PER_SECOND}
    return _("%(key)s must be a number from %(lowest)s to %(highest)s.", key=key, **limits)


def _check_credentials(name: str, value: Mapping[str, Any]) -> dict[str, str]:
    if "AccountSid" not in value:
        return {"AccountSid": _('%(name)s needs "AccountSid".', name=name)}
    for key, other in (("ApiKeySid", "ApiKeySecret"), ("ApiKeySecret", "ApiKeySid")):
        if key in value and other not in value:
            return {other: _('%(name)s: "ApiKeySid" and "ApiKeySecret" go together.', name=name)}
    if "AuthToken" not in value and "ApiKeySid" not in value:
        return {"AuthToken": _('%(name)s needs "AuthToken", or both "ApiKeySid" and "ApiKeySecret".', name=name)}
    if "PreviousAuthToken" in value and "AuthToken" not in value:
        return {"AuthToken": _('%(name)s needs "AuthToken" in addition to "PreviousAuthToken".', name=name)}
    return {}


def _check_senders(name: str, value: Mapping[str, Any]) -> dict[str, str]:
    if "FromNumber" not in value and "MessagingServiceSid" not in value:
        return {
            "FromNumber": _('%(name)s needs "FromNumber" in E.164, such as {"FromNumber": "+12025550100"}.', name=name)
        }
    return _check_number_list(name, value) if "MoreNumbers" in value else {}


def _check_number_list(name: str, value: Mapping[str, Any]) -> dict[str, str]:
    """A messaging service chooses among its own numbers, so it excludes a list."""
    key = key_label(name, "MoreNumbers")
    if "MessagingServiceSid" in value:
        return {
            "MoreNumbers": _("%(key)s must be left out: the messaging service chooses among its own numbers.", key=key)
        }
    numbers = [value["FromNumber"], *value["MoreNumbers"]]
    if len(set(numbers)) < len(numbers):
        return {"MoreNumbers": _("%(key)s has a number twice, or repeats the FromNumber.", key=key)}
    if len({is_short_code(number) for number in numbers}) > 1:
        message = _("%(key)s must have the same type as the FromNumber: all of them have the same rate.", key=key)
        return {"MoreNumbers": message}
    return {}


def _check_number_type(name: str, value: Mapping[str, Any]) -> dict[str, str]:
    """The type determines the rate, the auto-replies and which keywords opt in, so an impossible type is refused."""
    number, number_type = value.get("FromNumber", ""), value.get("NumberType", "")
    type_key, list_key = key_label(name, "NumberType"), key_label(name, "MoreNumbers")
    if is_short_code(number) and number_type in ("long_code", "toll_free"):
        rule = _("%(key)s must be short_code, because the FromNumber %(number)s is one.", key=type_key, number=number)
        return {"NumberType": rule}
    numbers = [number, *value.get("MoreNumbers", ())]
    if not number_type and len({infer_number_type(item) for item in numbers}) > 1:
        rule = _(
            '%(key)s must have the same type as the FromNumber, toll-free or not. Set "NumberType" if they do.',
            key=list_key,
        )
        return {"MoreNumbers": rule}
    if number_type == "toll_free" and any(is_e164(item) and not item.startswith("+1") for item in numbers):
        rule = _("%(key)s toll_free requires numbers in the United States or Canada (+1).", key=type_key)
        return {"NumberType": rule}
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
        inferred = _INFERRED_TYPES[sender.number_type]
        derived["NumberType"] = _(inferred) if sender.from_number else _("Long code, because no number is set")
    if "SegmentsPerSecond" not in value:
        derived["SegmentsPerSecond"] = _("%(rate)s, by the type of number", rate=f"{sender.segments_per_second:g}")
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
    SettingField("NumberType", N_("Type of number"), "", "choice", _NUMBER_TYPES,
                 empty_choice=N_("Automatic: toll-free, short code or long code, depending on the number")),
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
        cross_field_rules=lambda name, value: _check_senders(name, value) or _check_number_type(name, value),
        derived_values=_derived_values,
    ),
    build_credentials=_build_credentials,
    build_sender_settings=_build_sender_settings,
)

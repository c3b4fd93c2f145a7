"""The kinds of settings: which text each accepts, what is stored of it, and what is said about any other."""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from portal.core.rules.email_address import address_problem
from portal.core.rules.limits.frequency_cap import DEFAULT_FREQUENCY_CAP, MAX_CAP, parse_frequency_cap
from portal.core.rules.limits.quiet_hours import DEFAULT_QUIET_HOURS, OFF, parse_quiet_hours
from portal.core.rules.phone import is_e164, is_possible_phone
from portal.core.rules.setting_error import SettingError
from portal.core.rules.setting_schema import SettingSchema
from portal.core.rules.time_zones import timezone_problem
from portal.core.translation import N_, language_problem
from portal.core.translation import gettext as _
from portal.settings.rules.business_setting import BUSINESS_SCHEMA
from portal.settings.rules.installation_settings import MAIL_SERVER_SCHEMA, parse_public_url, parse_region
from portal.settings.rules.retention_settings import MAX_RETENTION_DAYS, MIN_RETENTION_DAYS
from portal.settings.rules.send_settings import DEFAULT_FAILURE_PERCENT, DEFAULT_UNDO_SECONDS
from portal.settings.rules.webhook_setting import WEBHOOK_SCHEMA

_PRICE = re.compile(r"[0-9]{1,2}(\.[0-9]{1,6})?")


@dataclass(frozen=True, eq=False)
class SettingKind:
    """`parse` returns what is stored of clean text, or raises `ValueError`. A setting without it is JSON: its `schema`
    is given here, or by the provider.

    `rule` is the sentence about invalid text; if it is "", the error is. A number has a `keyboard`.
    """

    parse: Callable[[str], Any] | None = None
    rule: str = ""
    limits: Mapping[str, Any] = field(default_factory=dict)
    keyboard: str = ""
    is_required: bool = False
    """Empty text is not the default, but invalid."""
    is_secret: bool = False
    """Encrypted at rest and displayed masked."""
    schema: SettingSchema | None = None

    def read(self, name: str, text: str) -> Any:
        """The value to store, None for the default. Raises `SettingError`."""
        if self.parse is None or not (text or self.is_required):
            return None
        try:
            return self.parse(text)
        except ValueError as error:
            values = {"name": name, "input": repr(text[:40]), "problem": str(error), **self.limits}
            raise SettingError.for_key(name, _(self.rule or str(error), **values)) from error


def gateway_kind(providers: Collection[str]) -> SettingKind:
    """One of the providers."""
    only = N_("%(name)s must be %(providers)s, the only gateway available, not %(input)s.")
    several = N_("%(name)s must be one of %(providers)s, not %(input)s.")
    rule, values = only if len(providers) == 1 else several, {"providers": ", ".join(providers)}
    return SettingKind(_unless(lambda text: text not in providers), rule, values, is_required=True)


def _unless(problem_of: Callable[[str], object]) -> Callable[[str], str]:
    """The text itself, unless there is a problem with it."""

    def parse(text: str) -> str:
        if problem := problem_of(text):
            raise ValueError(problem)
        return text

    return parse


def _phone_problem(text: str) -> str:
    if not is_e164(text):
        return N_("%(name)s must start with a plus and the country code, such as +12025550100.")
    return "" if is_possible_phone(text) else N_("%(name)s has too few or too many digits for its country.")


def _whole_number(rule: str, least: int, limit: int, default: int | None = None) -> SettingKind:
    def parse(text: str) -> int:
        is_number = text.isascii() and text.isdecimal() and len(text) <= len(str(limit))
        if not (is_number and least <= int(text) <= limit):
            raise ValueError(text)
        return int(text)

    return SettingKind(parse, rule, {"least": least, "limit": limit, "default": default}, "numeric")


def _price(text: str) -> str:
    """Decimal text, so that no digit is lost."""
    if not _PRICE.fullmatch(text) or not Decimal(text):
        raise ValueError(text)
    return format(Decimal(text).normalize(), "f")


def _flag(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(text)
    return text.lower() == "true"


def _quiet_hours(text: str) -> str:
    hours = parse_quiet_hours(text)
    return f"{hours.begin:%H:%M}-{hours.end:%H:%M}" if hours else OFF


def _frequency_cap(text: str) -> str:
    return str(parse_frequency_cap(text) or OFF)


KINDS = {
    "flag": SettingKind(_flag, N_("%(name)s must be true or false, not %(input)s."), is_required=True),
    "gateway": gateway_kind(()),
    "authentication": SettingKind(is_secret=True),
    "sender": SettingKind(),
    "phone_number": SettingKind(_unless(_phone_problem), is_required=True),
    "email_address": SettingKind(_unless(address_problem), "%(name)s: %(problem)s", is_required=True),
    "quiet_hours": SettingKind(
        _quiet_hours,
        N_("%(name)s must be two different times such as %(default)s, or off, or empty for %(default)s."),
        {"default": DEFAULT_QUIET_HOURS},
    ),
    "cap": SettingKind(
        _frequency_cap,
        N_("%(name)s must be a number of texts from 1 to %(limit)s, or off, or empty for %(default)s."),
        {"default": DEFAULT_FREQUENCY_CAP, "limit": MAX_CAP},
    ),
    "price": SettingKind(
        _price,
        N_("%(name)s must be a price in dollars above 0 and below 100, such as 0.0079, or empty for no price."),
        keyboard="decimal",
    ),
    "seconds": _whole_number(
        N_("%(name)s must be a whole number of seconds from 0 to %(limit)s, or empty for %(default)s."),
        0, 120, DEFAULT_UNDO_SECONDS,
    ),
    "count": _whole_number(
        N_("%(name)s must be a whole number of people from 1 to %(limit)s, or empty for no approval."), 1, 10_000_000
    ),
    "days": _whole_number(
        N_("%(name)s must be a whole number of days from %(least)s to %(limit)s, or empty to keep everything."),
        MIN_RETENTION_DAYS, MAX_RETENTION_DAYS,
    ),
    "percent": _whole_number(
        N_("%(name)s must be a whole number of percent from 1 to %(limit)s, or empty for %(default)s."),
        1, 100, DEFAULT_FAILURE_PERCENT,
    ),
    "segments": _whole_number(
        N_("%(name)s must be a whole number of segments from 1 to %(limit)s, or empty for no budget."), 1, 100_000_000
    ),
    "webhook": SettingKind(schema=WEBHOOK_SCHEMA, is_secret=True),
    "public_url": SettingKind(parse_public_url),
    "region": SettingKind(parse_region),
    "time_zone": SettingKind(_unless(timezone_problem), "%(problem)s"),
    "language": SettingKind(lambda text: _unless(language_problem)(text).lower(), "%(problem)s"),
    "mail_server": SettingKind(schema=MAIL_SERVER_SCHEMA, is_secret=True),
    "business": SettingKind(schema=BUSINESS_SCHEMA),
}  # fmt: skip

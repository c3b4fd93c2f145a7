"""Limits on invitations: anyone can type a stranger's number (docs/consent-rules.md#invitation-limits)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberType

from portal.domain.consent import Kind
from portal.domain.phone import is_in

_MINUTE_MS = 60_000
_HOUR_MS = 60 * _MINUTE_MS
DAY_MS = 24 * _HOUR_MS
_REFUSED_TYPES = {
    PhoneNumberType.PREMIUM_RATE: "a premium-rate number",
    PhoneNumberType.SHARED_COST: "a shared-cost number",
    PhoneNumberType.PAGER: "a pager",
    PhoneNumberType.VOICEMAIL: "a voicemail number",
}
_REQUESTS = (Kind.INVITED, Kind.WISHED)
_MAGIC = "+1500555"
"""Twilio's magic numbers, for test mode (docs/twilio.md#magic-numbers)."""


@dataclass(frozen=True)
class Limit:
    """At most `most` requests in `within_ms` for what `by` names: number, account_id, ip, or everybody ("")."""

    by: str
    most: int
    within_ms: int
    words: str
    kinds: tuple[Kind, ...] = (Kind.INVITED,)


@dataclass(frozen=True)
class Reached:
    """A limit that is reached, and when it no longer is."""

    limit: Limit
    until_ms: int


def limits(a_day: int, by_admin: bool, wish: bool = False) -> tuple[Limit, ...]:
    """`a_day` is the budget of the whole portal. An administrator acts for many people from one desk.

    A wish texts nobody, so that those who asked before for the same number keep nobody from it.
    """
    for_all = (
        Limit("number", 1, 10 * _MINUTE_MS, "This number was invited a moment ago."),
        Limit("number", 3, DAY_MS, "This number was invited three times within a day."),
        Limit("", a_day, DAY_MS, "The portal's invitations for today are used up."),
    )
    own = (
        Limit("account_id", 10, DAY_MS, "This account has asked for many invitations today.", _REQUESTS),
        Limit("ip", 20, _HOUR_MS, "Many invitations were asked for from where you are.", _REQUESTS),
    )
    return (*(() if wish else for_all), *(() if by_admin else own))


def reached(found: Sequence[tuple[Limit, Sequence[int]]], now_ms: int) -> Reached | None:
    """The limit that keeps an invitation back longest; None when it may leave.

    With each limit come the times of the invitations that count for it, oldest first.
    """
    full = [
        Reached(limit, times[-limit.most] + limit.within_ms)
        for limit, times in ((limit, _recent(times, now_ms - limit.within_ms)) for limit, times in found)
        if len(times) >= limit.most
    ]
    return max(full, key=lambda one: one.until_ms, default=None)


def country_refusal(number: str, countries: Sequence[str], test_mode: bool) -> str | None:
    """Why a number may not be invited, whoever asks: its country, or what a text to it would cost its owner."""
    if test_mode and number.startswith(_MAGIC):
        return None
    try:
        parsed = phonenumbers.parse(number, None)
    except NumberParseException:
        return "This is not a phone number."
    costly = _REFUSED_TYPES.get(phonenumbers.number_type(parsed))
    if costly is not None:
        return f"This is {costly}: it cannot be invited. Use a mobile number."
    if not is_in(number, countries):
        return f"Texts go to numbers in {_listed(countries)} only, and this one is not."
    return None


def _recent(times: Sequence[int], since_ms: int) -> list[int]:
    return [time for time in times if time > since_ms]


def _listed(countries: Sequence[str]) -> str:
    names = [_NAMES.get(country, country) for country in countries]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


_NAMES: Mapping[str, str] = {
    "US": "the United States",
    "CA": "Canada",
    "GB": "the United Kingdom with its islands",
    "AU": "Australia",
    "DE": "Germany",
    "FR": "France",
    "IE": "Ireland",
    "MX": "Mexico",
    "NZ": "New Zealand",
}

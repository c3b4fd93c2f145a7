"""Limits on invitations: anyone can type a stranger's number (docs/consent-rules.md#invitation-limits)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import phonenumbers
from phonenumbers import PhoneNumberType

from portal.consent.rules.consent_state import EventKind
from portal.core.rules.phone import is_in_countries, parse_international
from portal.core.translation import N_, join_words
from portal.core.translation import gettext as _
from portal.gateways.rules.twilio_magic_numbers import is_magic_number

_MINUTE_MS = 60_000
_HOUR_MS = 60 * _MINUTE_MS
DAY_MS = 24 * _HOUR_MS
_TYPE_PROBLEMS = {
    PhoneNumberType.PREMIUM_RATE: N_("This is a premium-rate number: it cannot be invited. Use a mobile number."),
    PhoneNumberType.SHARED_COST: N_("This is a shared-cost number: it cannot be invited. Use a mobile number."),
    PhoneNumberType.PAGER: N_("This is a pager: it cannot be invited. Use a mobile number."),
    PhoneNumberType.VOICEMAIL: N_("This is a voicemail number: it cannot be invited. Use a mobile number."),
}
_REQUEST_KINDS = (EventKind.INVITED, EventKind.REQUESTED)


@dataclass(frozen=True)
class RateLimit:
    """At most `max_requests` in `window_ms`, counted by `key`: number, account_id, ip, or "" for the whole portal."""

    key: str
    max_requests: int
    window_ms: int
    message: str
    kinds: tuple[EventKind, ...] = (EventKind.INVITED,)


def rate_limits(daily_limit: int, by_admin: bool, without_invitation: bool = False) -> tuple[RateLimit, ...]:
    """`daily_limit` holds for the whole portal. Administrators act for many people, so their requests are not limited.

    A request `without_invitation` texts nobody, so the limits that protect phones do not apply to it.
    """
    phone_limits = (
        RateLimit("number", 1, 10 * _MINUTE_MS, _("This number was invited a moment ago.")),
        RateLimit("number", 3, DAY_MS, _("This number was invited three times within a day.")),
        RateLimit("", daily_limit, DAY_MS, _("The portal has reached its daily limit of invitations.")),
    )
    requester_limits = (
        RateLimit(
            "account_id", 10, DAY_MS, _("This account has requested too many invitations today."), _REQUEST_KINDS
        ),
        RateLimit(
            "ip", 20, _HOUR_MS, _("Too many invitations were requested from your internet address."), _REQUEST_KINDS
        ),
    )
    return (*(() if without_invitation else phone_limits), *(() if by_admin else requester_limits))


def longest_limit_hit(counted: Sequence[tuple[RateLimit, Sequence[int]]], now_ms: int) -> tuple[str, int] | None:
    """Return the message of the limit that blocks a request longest, and until when; None if it is allowed.

    `counted` pairs each limit with the times of the requests that count for it, oldest first.
    """
    recent = [(limit, [time for time in times if time > now_ms - limit.window_ms]) for limit, times in counted]
    hits = [
        (limit.message, times[-limit.max_requests] + limit.window_ms)
        for limit, times in recent
        if len(times) >= limit.max_requests
    ]
    return max(hits, key=lambda hit: hit[1], default=None)


def number_ineligibility(number: str, countries: Sequence[str], test_mode: bool) -> str | None:
    """Return why a number may not be invited, whoever asks: its country or its type; None if it may."""
    if test_mode and is_magic_number(number):
        return None
    parsed = parse_international(number)
    if parsed is None:
        return _("This is not a phone number.")
    if problem := _TYPE_PROBLEMS.get(phonenumbers.number_type(parsed)):
        return _(problem)
    if not is_in_countries(number, countries):
        names = join_words([_(_COUNTRY_NAMES.get(country, country)) for country in countries])
        return _("We can only text numbers in %(countries)s.", countries=names)
    return None


_COUNTRY_NAMES: Mapping[str, str] = {
    "US": N_("the United States"),
    "CA": N_("Canada"),
    "GB": N_("the United Kingdom (including the Channel Islands and the Isle of Man)"),
    "AU": N_("Australia"),
    "DE": N_("Germany"),
    "FR": N_("France"),
    "IE": N_("Ireland"),
    "MX": N_("Mexico"),
    "NZ": N_("New Zealand"),
}

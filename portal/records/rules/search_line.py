"""The search line of the communications: words, and filters such as `status:failed`, in any order.

A word is found in the recipient or the subject, and all words must be found. A filter that is written twice asks for
either value, but `to:` asks for both.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from portal.core.rules.case_folding import fold_for_search
from portal.core.rules.delivery_status import StateGroup
from portal.core.rules.phone import parse_search_phone
from portal.core.rules.time_format import start_of_day_ms
from portal.core.rules.time_zones import timezone_or_utc
from portal.core.translation import gettext as _
from portal.core.translation import join_words

MAX_LENGTH = 300
PREFIXES = ("to", "template", "status", "channel", "before", "after", "number", "send", "code")
CHANNELS = {"email": "email", "text": "sms", "sms": "sms"}
"""What people type, and the channel that it means."""
_TOKEN = re.compile(r'(?P<prefix>[^\W\d_]+:)?(?P<value>"(?P<quoted>[^"]*)"?|\S*)', re.UNICODE)
_CURLY_QUOTES = str.maketrans("“”„«»", '"""""')
_PHONE_PARTS = re.compile(r"[0-9()+.\- ]+")
_NOT_DIGITS = re.compile(r"[^0-9]")
_PHONE_DIGITS = range(7, 16)
_SEND_ID = re.compile(r"#?([1-9][0-9]{0,17})")
_CODE = re.compile(r"[\w.-]{1,40}")


class InvalidSearch(ValueError):
    """The line cannot be understood; the message tells the person who typed it why, and what to write."""


@dataclass(frozen=True)
class Token:
    """A word (no `prefix`), or a filter. `text` is how it stands in the line."""

    prefix: str
    value: str
    text: str


@dataclass(frozen=True)
class SearchQuery:
    """What a search line asks for. Words are folded (`fold_for_search`), times are half open: `after_ms` belongs to it.

    `status`, `channels`, `codes` and `numbers` (E.164) are about one and the same delivery.
    """

    words: tuple[str, ...] = ()
    recipients: tuple[str, ...] = ()
    templates: tuple[str, ...] = ()
    groups: tuple[StateGroup, ...] = ()
    channels: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    send_ids: tuple[int, ...] = ()
    codes: tuple[str, ...] = ()
    after_ms: int | None = None
    before_ms: int | None = None

    @property
    def is_empty(self) -> bool:
        return self == SearchQuery()

    @property
    def is_about_delivery(self) -> bool:
        return bool(self.groups or self.channels or self.numbers or self.codes)


@dataclass(frozen=True)
class Viewer:
    """Who searches: days are those of the time zone, and numbers without a country code are of the region."""

    zone: str = "UTC"
    region: str = "US"
    now_ms: int = 0


def tokens(line: str) -> list[Token]:
    """A quote that is not closed ends with the line."""
    found = []
    for match in _TOKEN.finditer(line.translate(_CURLY_QUOTES)):
        quoted = match["quoted"]
        value = match["value"] if quoted is None else quoted
        if match.group().strip():
            found.append(Token((match["prefix"] or "").lower().rstrip(":"), value, match.group()))
    return found


def parse_search_line(line: str, viewer: Viewer) -> SearchQuery:
    """Raises `InvalidSearch`."""
    if len(line) > MAX_LENGTH:
        raise InvalidSearch(
            _("A search can have at most %(limit)s characters. Leave some words out.", limit=MAX_LENGTH)
        )
    parts = tokens(line)
    query = _Builder(viewer).build([token for token in parts if token.prefix])
    return replace(query, words=_words([token for token in parts if not token.prefix]))


def replace_filter(line: str, prefix: str, value: str = "") -> str:
    """The line with one filter of this prefix, or without it."""
    kept = [_closed(token) for token in tokens(line) if token.prefix != prefix]
    return " ".join([*kept, write_filter(prefix, value)] if value else kept)


def _closed(token: Token) -> str:
    """What comes behind a quote that is not closed would be part of it."""
    is_open = token.text.removeprefix(f"{token.text.partition(':')[0]}:" if token.prefix else "").startswith('"')
    return f'{token.text}"' if is_open and token.text.count('"') == 1 else token.text


def write_filter(prefix: str, value: str) -> str:
    value = value.replace('"', " ")
    return f'{prefix}:"{value}"' if " " in value else f"{prefix}:{value}"


def without_language(line: str) -> str:
    """The line for others to read: a status has its name, and not that in the language of whoever typed it."""
    groups = {token.text: _status_group(token.value) for token in tokens(line) if token.prefix == "status"}
    return " ".join(
        write_filter("status", group.value) if (group := groups.get(token.text)) else token.text
        for token in tokens(line)
    )


def filter_values(line: str, prefix: str) -> list[str]:
    return [token.value for token in tokens(line) if token.prefix == prefix]


def digits_of(word: str) -> str:
    """The digits of a word that may be (part of) a phone number; empty for other words."""
    return _NOT_DIGITS.sub("", word) if _PHONE_PARTS.fullmatch(word) else ""


def _words(free: list[Token]) -> tuple[str, ...]:
    """Folded. Words that make up a phone number together, such as (202) 555 0101, are one."""
    joined = fold_for_search(" ".join(token.value for token in free))
    if len(free) > 1 and len(digits_of(joined)) in _PHONE_DIGITS:
        return (digits_of(joined),)
    folded = (fold_for_search(token.value) for token in free)
    return tuple(dict.fromkeys(filter(None, folded)))


class _Builder:
    """Reads one filter after another into `query`."""

    def __init__(self, viewer: Viewer) -> None:
        self.viewer, self.query = viewer, SearchQuery()

    def build(self, filters: list[Token]) -> SearchQuery:
        readers = self._readers()
        for token in filters:
            if token.prefix not in readers:
                raise InvalidSearch(_unknown_prefix(token))
            if not fold_for_search(token.value):
                raise InvalidSearch(_missing_value(token.prefix))
            readers[token.prefix](token.value.strip())
        return self.query

    def _readers(self) -> dict[str, Callable[[str], None]]:
        return {
            "to": self._read_recipient,
            "template": lambda value: self._add("templates", fold_for_search(value)),
            "status": self._read_status,
            "channel": self._read_channel,
            "before": self._read_before,
            "after": self._read_after,
            "number": self._read_number,
            "send": self._read_send,
            "code": self._read_code,
        }

    def _add(self, name: str, value: str | int) -> None:
        """To a field that is a tuple."""
        before = getattr(self.query, name)
        values: Any = tuple(dict.fromkeys((*before, value))) if value else before
        self.query = replace(self.query, **{name: values})

    def _read_recipient(self, value: str) -> None:
        digits = digits_of(value)
        self._add("recipients", digits if len(digits) in _PHONE_DIGITS else fold_for_search(value))

    def _read_status(self, value: str) -> None:
        group = _status_group(value)
        if group is None:
            choices = join_words([group.value for group in StateGroup])
            raise InvalidSearch(
                _("“%(value)s” is not a status. Choose from %(choices)s.", value=value[:40], choices=choices)
            )
        self._add("groups", group)

    def _read_channel(self, value: str) -> None:
        channel = CHANNELS.get(value.casefold())
        if channel is None:
            raise InvalidSearch(
                _("“%(value)s” is not a channel. Write channel:email or channel:text.", value=value[:40])
            )
        self._add("channels", channel)

    def _read_before(self, value: str) -> None:
        at_ms = self._start_of_day("before", value)
        earlier = self.query.before_ms
        self.query = replace(self.query, before_ms=at_ms if earlier is None else min(at_ms, earlier))

    def _read_after(self, value: str) -> None:
        at_ms = self._start_of_day("after", value)
        earlier = self.query.after_ms
        self.query = replace(self.query, after_ms=at_ms if earlier is None else max(at_ms, earlier))

    def _start_of_day(self, prefix: str, value: str) -> int:
        at_ms = start_of_day_ms(self._day(value.casefold()), self.viewer.zone)
        if at_ms is None:
            example = f"{prefix}:{self._today().isoformat()}"
            raise InvalidSearch(
                _(
                    "“%(value)s” is not a day. Write the year, month and day, such as %(example)s.",
                    value=value[:40],
                    example=example,
                )
            )
        return at_ms

    def _day(self, value: str) -> str:
        days = {"today": self._today(), "yesterday": self._today() - timedelta(days=1)}
        return days[value].isoformat() if value in days else value

    def _today(self) -> date:
        return datetime.fromtimestamp(self.viewer.now_ms / 1000, timezone_or_utc(self.viewer.zone)).date()

    def _read_number(self, value: str) -> None:
        number = parse_search_phone(value, self.viewer.region)
        if not number:
            raise InvalidSearch(
                _(
                    "“%(value)s” is not a whole phone number. Write one such as number:+12025550101, or type part of "
                    "it without number: to find the people who have it.",
                    value=value[:40],
                )
            )
        self._add("numbers", number)

    def _read_send(self, value: str) -> None:
        match = _SEND_ID.fullmatch(value)
        if match is None:
            raise InvalidSearch(_("“%(value)s” is not the number of a send. Write send:12.", value=value[:40]))
        self._add("send_ids", int(match[1]))

    def _read_code(self, value: str) -> None:
        if not _CODE.fullmatch(value):
            raise InvalidSearch(_("“%(value)s” is not an error code. Write code:30003.", value=value[:40]))
        self._add("codes", value)


def _status_group(value: str) -> StateGroup | None:
    """By its name, or by its label in the language of the reader."""
    name = fold_for_search(value).replace("-", "_").replace(" ", "_")
    labels = {fold_for_search(_(group.label)).replace(" ", "_"): group for group in StateGroup}
    return {**labels, **{group.value: group for group in StateGroup}, "cancelled": StateGroup.CANCELED}.get(name)


def _unknown_prefix(token: Token) -> str:
    return _(
        "There is no filter “%(prefix)s:”. Filters are %(prefixes)s. To look for the word itself, put it in quotation "
        "marks.",
        prefix=token.prefix[:40],
        prefixes=join_words([f"{prefix}:" for prefix in PREFIXES]),
    )


def _missing_value(prefix: str) -> str:
    return _("Write what to look for after %(prefix)s:, such as %(example)s.", prefix=prefix, example=EXAMPLES[prefix])


EXAMPLES = {
    "to": 'to:"Olive Owner"',
    "template": "template:renewal",
    "status": "status:failed",
    "channel": "channel:text",
    "before": "before:2026-03-01",
    "after": "after:yesterday",
    "number": "number:+12025550101",
    "send": "send:12",
    "code": "code:30003",
}

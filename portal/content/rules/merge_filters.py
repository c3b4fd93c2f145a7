"""The filters that templates have. Each does what its words say, and refuses what it cannot read."""

import functools
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from liquid.exceptions import FilterArgumentError
from liquid.token import Token

from portal.content.rules import merge_budget, merge_dates, merge_numbers
from portal.content.rules.field_values import FilterError, UrlEncoded, propagate_field

FILTER_HELP: dict[str, str] = {
    "default": 'words for a value that is left blank: default: "no fee"',
    "date": f'a complete date, written another way: date: "%B %-d, %Y". It reads {merge_dates.DATE_FORMATS}, '
    f"with a time such as {merge_dates.TIME_FORMATS} where the format writes one",
    "plus": "adds a number",
    "minus": "takes a number away",
    "times": "multiplies",
    "divided_by": "divides; of two whole numbers it gives the whole part",
    "modulo": "what is left after dividing",
    "round": "to the nearest whole number, halves away from zero; round: 2 shows two places",
    "ceil": "up to a whole number",
    "floor": "down to a whole number",
    "abs": "without the minus sign",
    "at_least": "the larger of the two numbers",
    "at_most": "the smaller of the two numbers",
    "append": "adds words after it",
    "prepend": "adds words before it",
    "replace": 'puts other words in place of some: replace: "old", "new"',
    "replace_first": "the same, where they stand first only",
    "replace_last": "the same, where they stand last only",
    "remove": "takes words out",
    "remove_first": "the same, where they stand first only",
    "remove_last": "the same, where they stand last only",
    "capitalize": "the first letter a capital, the others lower case",
    "upcase": "all capitals",
    "downcase": "all lower case",
    "strip": "without blanks at both ends",
    "lstrip": "without blanks before it",
    "rstrip": "without blanks after it",
    "squish": "each run of blanks as one",
    "strip_newlines": "without line breaks",
    "slice": "some of its characters: slice: 0, 3",
    "truncate": "at most this many characters, the dots among them: truncate: 20",
    "truncatewords": "at most this many words: truncatewords: 5",
    "split": 'into a list: split: ","',
    "join": "a list as one line",
    "first": "the first of a list",
    "last": "the last of a list",
    "reverse": "a list from its end",
    "sort": "a list by its characters",
    "sort_natural": "a list by its letters, capitals and lower case alike",
    "uniq": "a list without repetitions",
    "compact": "a list without what is missing",
    "size": "how many characters, or how many in a list",
    "url_encode": "for a link that is written out in the words; addresses of [links](…) need none",
}
"""Name → what it does, for whoever writes a template."""

_SHOWN_AS_GIVEN = "values always show exactly as they were given, so take it out"
UNSUPPORTED_FILTERS: dict[str, str] = dict.fromkeys(
    ("escape", "escape_once", "escapejs", "safe", "newline_to_br", "strip_html"), _SHOWN_AS_GIVEN
)


def _first(value: Any) -> Any:
    return next(iter(_as_list(value)), "")


def _last(value: Any) -> Any:
    return next(iter(_as_list(value)[-1:]), "")


def _size(value: Any) -> int:
    return len("" if value is None else value if isinstance(value, str) else _as_list(value))


def _as_list(value: Any) -> Any:
    """Words are no list of one, nor of letters."""
    if value is None or value == "":
        return []
    if isinstance(value, list | tuple | range):
        return value
    raise FilterError(value, 'is not a list. Make one of it first, such as with split: ",".')


def _url_encode(value: Any) -> str:
    return UrlEncoded(
        quote(str("" if value is None else value), safe="", errors="replace"), getattr(value, "field_name", "")
    )


_CUSTOM_FILTERS: dict[str, Callable[..., Any]] = {
    "date": merge_dates.format_date,
    "plus": merge_numbers.plus,
    "minus": merge_numbers.minus,
    "times": merge_numbers.times,
    "divided_by": merge_numbers.divided_by,
    "modulo": merge_numbers.modulo,
    "round": merge_numbers.round_,
    "ceil": merge_numbers.ceil,
    "floor": merge_numbers.floor,
    "abs": merge_numbers.abs_,
    "first": _first,
    "last": _last,
    "size": _size,
    "url_encode": _url_encode,
    "at_least": merge_numbers.at_least,
    "at_most": merge_numbers.at_most,
}


_INTEGER_ARGUMENTS = {"slice": 2, "truncate": 1, "truncatewords": 1}
"""How many of a filter's first arguments say how many."""


class UnusableValue(FilterArgumentError):
    """A value that a filter cannot read; `field` is the one it was given for, if any."""

    def __init__(self, error: FilterError, token: Token | None = None) -> None:
        super().__init__(error.message, token=token)
        self.field = error.field


def build_filters(built_in: Mapping[str, Callable[..., Any]]) -> dict[str, Callable[..., Any]]:
    """The filters of an environment, from those that Liquid has built in."""
    return {
        name: _guard_filter(_CUSTOM_FILTERS.get(name) or built_in[name], _INTEGER_ARGUMENTS.get(name, 0))
        for name in FILTER_HELP
    }


def _guard_filter(function: Callable[..., Any], counts: int = 0) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(value: Any, *args: Any, **kwargs: Any) -> Any:
        merge_budget.check_filter_input(value, args)
        try:
            made = function(value, *map(merge_numbers.to_integer, args[:counts]), *args[counts:], **kwargs)
        except FilterError as error:
            raise UnusableValue(error) from error
        except merge_numbers.ResultTooLarge as error:
            raise merge_budget.BudgetExceeded("number limit reached", token=None) from error
        merge_budget.check_filter_output(made)
        return propagate_field(made, (value, *args))

    return call

"""The filters that templates may use, with their help texts. Each rejects values it cannot use."""

import functools
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from portal.content.rules import merge_budget, merge_dates, merge_numbers
from portal.content.rules.field_values import FilterError, UrlEncoded, propagate_field
from portal.core.translation import N_

FILTER_HELP: dict[str, str] = {
    "default": N_('replaces a blank value: default: "no fee"'),
    "date": N_(
        'formats a complete date: date: "%B %-d, %Y", or date alone for May 28, 2027. It accepts 2027-05-28, '
        "May 28, 2027 or 28 May 2027, with a time such as 14:30 or 2:30 PM if the format prints one"
    ),
    "plus": N_("adds a number"),
    "minus": N_("subtracts a number"),
    "times": N_("multiplies by a number"),
    "divided_by": N_("divides by a number; two whole numbers give a whole number, rounded down"),
    "modulo": N_("the remainder of a division"),
    "round": N_("rounds to a whole number, halves away from zero; round: 2 shows two decimal places"),
    "ceil": N_("rounds up to a whole number"),
    "floor": N_("rounds down to a whole number"),
    "abs": N_("removes the minus sign"),
    "at_least": N_("the larger of the two numbers"),
    "at_most": N_("the smaller of the two numbers"),
    "append": N_("adds words after the value"),
    "prepend": N_("adds words before the value"),
    "replace": N_('replaces words: replace: "old", "new"'),
    "replace_first": N_("replaces the first occurrence only"),
    "replace_last": N_("replaces the last occurrence only"),
    "remove": N_("removes words"),
    "remove_first": N_("removes the first occurrence only"),
    "remove_last": N_("removes the last occurrence only"),
    "capitalize": N_("makes the first letter a capital and the others lower case"),
    "upcase": N_("makes every letter a capital"),
    "downcase": N_("makes every letter lower case"),
    "strip": N_("removes spaces at both ends"),
    "lstrip": N_("removes spaces at the start"),
    "rstrip": N_("removes spaces at the end"),
    "squish": N_("reduces each run of spaces to one"),
    "strip_newlines": N_("removes line breaks"),
    "slice": N_("takes some of the characters: slice: 0, 3"),
    "truncate": N_("keeps at most this many characters, including the dots: truncate: 20"),
    "truncatewords": N_("keeps at most this many words: truncatewords: 5"),
    "split": N_('splits a value into a list: split: ","'),
    "join": N_("joins a list into one line"),
    "first": N_("the first item of a list"),
    "last": N_("the last item of a list"),
    "reverse": N_("reverses a list"),
    "sort": N_("sorts a list, capitals first"),
    "sort_natural": N_("sorts a list, ignoring capitals"),
    "uniq": N_("removes duplicates from a list"),
    "compact": N_("removes missing items from a list"),
    "size": N_("the number of characters, or of items in a list"),
    "url_encode": N_("encodes a value for a web address that is written out; addresses of [links](…) do not need it"),
}
"""Filters to the help text that the template editor shows."""

UNSUPPORTED_FILTERS = ("escape", "escape_once", "escapejs", "safe", "newline_to_br", "strip_html")
"""Values always appear exactly as given, so these filters of other engines are not needed."""


def _first(value: Any) -> Any:
    return next(iter(_as_list(value)), "")


def _last(value: Any) -> Any:
    return next(iter(_as_list(value)[-1:]), "")


def _size(value: Any) -> int:
    return len("" if value is None else value if isinstance(value, str) else _as_list(value))


def _as_list(value: Any) -> Any:
    """Text is neither a list of one item nor a list of letters."""
    if value is None or value == "":
        return []
    if isinstance(value, list | tuple | range):
        return value
    raise FilterError(value, N_('%(value)s is not a list. Make it one first, for example with split: ",".'))


def _url_encode(value: Any) -> str:
    encoded = quote(str("" if value is None else value), safe="", errors="replace")
    return UrlEncoded(encoded, getattr(value, "field_name", ""))


_CUSTOM_FILTERS: dict[str, Callable[..., Any]] = {
    **merge_numbers.ARITHMETIC_FILTERS,
    "date": merge_dates.format_date,
    "first": _first,
    "last": _last,
    "size": _size,
    "url_encode": _url_encode,
}
_INTEGER_ARGUMENTS = {"slice": 2, "truncate": 1, "truncatewords": 1}
"""How many of a filter's first arguments must be whole numbers."""


def build_filters(built_in: Mapping[str, Callable[..., Any]]) -> dict[str, Callable[..., Any]]:
    """Liquid's own filters and ours, with limits."""
    return {
        name: _guard_filter(_CUSTOM_FILTERS.get(name) or built_in[name], _INTEGER_ARGUMENTS.get(name, 0))
        for name in FILTER_HELP
    }


def _guard_filter(function: Callable[..., Any], integer_count: int) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(value: Any, *args: Any, **kwargs: Any) -> Any:
        merge_budget.check_filter_input(value, args)
        integers = map(merge_numbers.to_integer, args[:integer_count])
        result = function(value, *integers, *args[integer_count:], **kwargs)
        merge_budget.check_filter_output(result)
        return propagate_field(result, (value, *args))

    return call

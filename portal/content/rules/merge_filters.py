"""The filters that templates may use, with their help texts. Each rejects values it cannot use."""

import functools
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from portal.content.rules import merge_budget, merge_dates, merge_numbers
from portal.content.rules.field_values import FilterError, UrlEncoded, propagate_field

FILTER_HELP: dict[str, str] = {
    "default": 'replaces a blank value: default: "no fee"',
    "date": f'formats a complete date: date: "%B %-d, %Y". It accepts {merge_dates.DATE_FORMATS}, '
    f"with a time such as {merge_dates.TIME_FORMATS} if the format prints one",
    "plus": "adds a number",
    "minus": "subtracts a number",
    "times": "multiplies by a number",
    "divided_by": "divides by a number; two whole numbers give a whole number, rounded down",
    "modulo": "the remainder of a division",
    "round": "rounds to a whole number, halves away from zero; round: 2 shows two decimal places",
    "ceil": "rounds up to a whole number",
    "floor": "rounds down to a whole number",
    "abs": "removes the minus sign",
    "at_least": "the larger of the two numbers",
    "at_most": "the smaller of the two numbers",
    "append": "adds words after the value",
    "prepend": "adds words before the value",
    "replace": 'replaces words: replace: "old", "new"',
    "replace_first": "replaces the first occurrence only",
    "replace_last": "replaces the last occurrence only",
    "remove": "removes words",
    "remove_first": "removes the first occurrence only",
    "remove_last": "removes the last occurrence only",
    "capitalize": "makes the first letter a capital and the others lower case",
    "upcase": "makes every letter a capital",
    "downcase": "makes every letter lower case",
    "strip": "removes spaces at both ends",
    "lstrip": "removes spaces at the start",
    "rstrip": "removes spaces at the end",
    "squish": "reduces each run of spaces to one",
    "strip_newlines": "removes line breaks",
    "slice": "takes some of the characters: slice: 0, 3",
    "truncate": "keeps at most this many characters, including the dots: truncate: 20",
    "truncatewords": "keeps at most this many words: truncatewords: 5",
    "split": 'splits a value into a list: split: ","',
    "join": "joins a list into one line",
    "first": "the first item of a list",
    "last": "the last item of a list",
    "reverse": "reverses a list",
    "sort": "sorts a list, capitals first",
    "sort_natural": "sorts a list, ignoring capitals",
    "uniq": "removes duplicates from a list",
    "compact": "removes missing items from a list",
    "size": "the number of characters, or of items in a list",
    "url_encode": "encodes a value for a web address that is written out; the addresses of [links](…) do not need it",
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
    raise FilterError(value, 'is not a list. Make it one first, for example with split: ",".')


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

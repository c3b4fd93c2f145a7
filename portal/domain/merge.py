"""Merge fields: Liquid, fenced in.

Templates are code, so they run under limits (docs/reliability.md#templates), without tags that load or capture,
with filters that guess nothing, and with every value marked as it is written into Markdown (`domain.literals`).
"""

import functools
import re
from ast import literal_eval
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TextIO

from liquid import BoundTemplate, Environment, RenderContext, StrictUndefined
from liquid.builtin.output import Output
from liquid.builtin.tags.echo_tag import EchoTag
from liquid.exceptions import LiquidError
from liquid.stringify import to_liquid_string

from portal.domain import merge_filters, merge_limits, merge_needs, merge_tree, merge_work, sms_plain
from portal.domain.given import Given, UrlEncoded
from portal.domain.literals import mark
from portal.domain.merge_filters import Unusable
from portal.domain.merge_needs import NeedyNode

FIELDS: dict[str, str] = {
    "name": "Full name",
    "first_name": "First name",
    "email": "Email address",
    "external_id": "Account number",
    "account_type": "Account type",
}
"""What every account has; anything else is given with the send, as `data.…`."""

_DATA = "data"
_blanks_are_gaps: ContextVar[bool] = ContextVar("blanks_are_gaps", default=False)
_PLAIN_FIELD = re.compile(r"\{\{ *([a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)?) *\}\}")
_SAFE_NAME = re.compile(r"^[a-z][a-z0-9_]{0,39}$")


class MergeError(ValueError):
    """What is wrong with a template or its values, in words; `line` counts from 1, `field` is where a value belongs."""

    def __init__(self, text: str, line: int | None = None, field: str = "") -> None:
        super().__init__(f"Line {line}: {text}" if line else text)
        self.text, self.line, self.field = text, line, field


class _PlainEnvironment(Environment):
    loop_iteration_limit = 500
    output_stream_limit = 100_000
    local_namespace_limit = 20_000
    context_depth_limit = 12


class _CountedNode(NeedyNode):
    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        merge_work.count(1)
        _refuse_blanks(self, context)
        return super().render_to_output(context, buffer)


class _MarkedNode(NeedyNode):
    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        merge_work.count(1)
        _refuse_blanks(self, context)
        value = self.expression.evaluate(context)
        return buffer.write(mark(to_liquid_string(value, False), isinstance(value, UrlEncoded)))


def _refuse_blanks(node: NeedyNode, context: RenderContext) -> None:
    """A value that was left blank where it would leave a gap in somebody's message."""
    if not (node.needs and _blanks_are_gaps.get()):
        return
    data: Mapping[str, Any] = context.globals[_DATA]  # type: ignore[assignment]
    for name in node.needs:
        if not str(data.get(name, name)).strip():
            raise needs_a_value(name)


class _CountedOutput(Output):
    node_class = _CountedNode


class _CountedEcho(EchoTag):
    node_class = _CountedNode  # type: ignore[assignment]


class _MarkedOutput(Output):
    node_class = _MarkedNode


class _MarkedEcho(EchoTag):
    node_class = _MarkedNode  # type: ignore[assignment]


@dataclass(frozen=True)
class Checked:
    """A template that may be saved: the `data.…` names it asks for, and those of them that may not be blank."""

    data_fields: tuple[str, ...]
    required: tuple[str, ...]


@functools.lru_cache(maxsize=256)
def check(source: str, fields: tuple[str, ...] = ()) -> Checked:
    """Raises `MergeError` naming the first unknown field, unknown tag or mistake, with its line.

    Where `fields` are given there are no others, and no `data.…`: the words are not those of a send.
    """
    template = _parse(source, markdown=True)
    analysed = template.analyze().globals.values()
    asked = [_data_name(variable, source, fields) for found in analysed for variable in found]
    names = tuple(dict.fromkeys(name for name in asked if name))
    data = {name: Given("x", f"{_DATA}.{name}", stands_in=True) for name in names}
    _render(template, {**stand_ins(dict.fromkeys(fields or FIELDS, "x")), _DATA: data})
    return Checked(names, merge_needs.required(template))


def render_body(source: str, values: Mapping[str, Any], refuse_blanks: bool = False) -> str:
    """Markdown with the values written in, so that none of them is read as Markdown.

    With `refuse_blanks` a blank `data.…` value that would leave a gap is a mistake, here as in the others.
    """
    filled_in = _filled_in(source, values, markdown=True)
    return _render(_parse(source, markdown=True), values, refuse_blanks) if filled_in is None else filled_in


def render_subject(source: str, values: Mapping[str, Any], refuse_blanks: bool = False) -> str:
    """One line of plain text: line breaks would let a value write mail headers of its own."""
    return " ".join(render_text(source, values, refuse_blanks).split())


def render_text(source: str, values: Mapping[str, Any], refuse_blanks: bool = False) -> str:
    """Plain text with the values written in as they are."""
    filled_in = _filled_in(source, values, markdown=False)
    return _render(_parse(source, markdown=False), values, refuse_blanks) if filled_in is None else filled_in


def is_plain(source: str) -> bool:
    """Whether it has nothing but plain fields, which can be filled in for anybody."""
    return _pieces(source) is not None


def needs_a_value(name: str) -> MergeError:
    words = name.replace("_", " ")
    return MergeError(f"The template needs a value for “{words}”.", field=f"{_DATA}.{name}")


def values_for(name: str, email: str, external_id: str, account_type: str, data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "first_name": name.split()[0] if name.split() else name,
        "email": email,
        "external_id": external_id,
        "account_type": account_type,
        _DATA: dict(data),
    }


def sample_data(names: tuple[str, ...]) -> dict[str, str]:
    """Stand-ins for a preview: `exam_date` reads as [exam date]."""
    return {name: Given(f"[{name.replace('_', ' ')}]", f"{_DATA}.{name}", stands_in=True) for name in names}


def stand_ins(values: Mapping[str, str]) -> dict[str, str]:
    """The same words, as samples of the account's fields: no filter asks whether they are a date or a number."""
    return {name: Given(words, name, stands_in=True) for name, words in values.items()}


@functools.lru_cache(maxsize=256)
def _parse(source: str, markdown: bool) -> BoundTemplate:
    try:
        merge_limits.check(source)
        template = _environment(markdown).from_string(source)
        merge_tree.amend(template)
        merge_needs.required(template)
        return template
    except LiquidError as error:
        raise _merge_error(error, source) from error
    except merge_limits.TooLong as error:
        raise MergeError(str(error), source.count("\n", 0, error.at) + 1) from error
    except RecursionError as error:
        raise MergeError(_in_words("limit reached")) from error


@functools.lru_cache(maxsize=2)
def _environment(markdown: bool) -> Environment:
    environment = _PlainEnvironment(undefined=StrictUndefined)
    environment.filters = merge_filters.filters(environment.filters)
    for tag in ("include", "render", "capture", "tablerow", "cycle"):
        del environment.tags[tag]
    for kind in (_MarkedOutput, _MarkedEcho) if markdown else (_CountedOutput, _CountedEcho):
        environment.add_tag(kind)
    return environment


@functools.lru_cache(maxsize=256)
def _pieces(source: str) -> tuple[str, ...] | None:
    """Words and the names of fields in turn, for a source with nothing but plain fields; None for any other."""
    if "{%" in source or "{#" in source or len(_PLAIN_FIELD.findall(source)) != source.count("{{"):
        return None
    return tuple(_PLAIN_FIELD.split(source))


def _filled_in(source: str, values: Mapping[str, Any], markdown: bool) -> str | None:
    """What rendering would give, at a tenth of its cost; None where only rendering knows."""
    pieces = _pieces(source)
    if pieces is None:
        return None
    written = list(pieces)
    for place in range(1, len(pieces), 2):
        name, _, inner = pieces[place].partition(".")
        value = values.get(name)
        value = value.get(inner) if inner and isinstance(value, Mapping) else value
        if not isinstance(value, str) or (inner and not value.strip()):
            return None
        written[place] = mark(value) if markdown else value
    return "".join(written)


def _render(template: BoundTemplate, values: Mapping[str, Any], refuse_blanks: bool = False) -> str:
    merge_work.begin()
    _blanks_are_gaps.set(refuse_blanks)
    try:
        return template.render(**_given(values))
    except LiquidError as error:
        raise _merge_error(error) from error
    except MergeError:
        raise
    except (ArithmeticError, ValueError, TypeError, RecursionError) as error:
        raise MergeError(f"the template cannot be worked out: {error}.") from error


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values with the names of their fields, for what is to be said of one that cannot be read."""
    data = {name: _named(value, f"{_DATA}.{name}") for name, value in values.get(_DATA, {}).items()}
    return {name: _named(value, name) for name, value in values.items() if name != _DATA} | {_DATA: data}


def _named(value: Any, field: str) -> Any:
    return Given(value, field) if isinstance(value, str) and not isinstance(value, Given) else value


def _data_name(variable: Any, source: str, fields: tuple[str, ...]) -> str | None:
    """The name behind `data.`, None for a field that there is; raises `MergeError` for anything else."""
    segments = [str(segment) for segment in variable.segments]
    if segments[0] in (fields or FIELDS) and len(segments) == 1:
        return None
    line = source.count("\n", 0, variable.span.index) + 1
    if not fields and segments[0] == _DATA and len(segments) == 2 and _SAFE_NAME.match(segments[1]):
        return segments[1]
    known, more = ", ".join(fields or FIELDS), ", or data.something for a value given with the send"
    raise MergeError(
        f"there is no merge field “{'.'.join(segments)}”. Use one of {known}{'' if fields else more}.", line
    )


def _merge_error(error: LiquidError, source: str | None = None) -> MergeError:
    """With the line of the mistake; what is missing at the end is missing on the last line."""
    token = getattr(error, "token", None)
    line = None
    if token is not None and token.start_index >= 0:
        line = token.source.count("\n", 0, token.start_index) + 1
    elif source is not None:
        line = source.rstrip("\n").count("\n") + 1
    if isinstance(error, Unusable):
        return MergeError(str(error.args[0]), line, error.field)
    return MergeError(_in_words(str(error.args[0]) if error.args else "the template has a mistake"), line)


def _in_words(message: str) -> str:
    if "limit reached" in message:
        return "the template does too much: a loop runs too long or writes too much. Make it shorter."
    unknown = re.match(r"unknown filter '(\w+)'", message)
    if unknown and unknown.group(1) in merge_filters.NOT_OFFERED:
        return f"there is no filter “{unknown.group(1)}” here: {merge_filters.NOT_OFFERED[unknown.group(1)]}."
    if unknown:
        return f"there is no filter “{unknown.group(1)}”. The filters are {', '.join(merge_filters.OFFERED)}."
    unexpected = re.match(r"unexpected ('.{1,10}')$", message)
    if unexpected and (odd := _odd_character(literal_eval(unexpected.group(1)))):
        return odd
    missing = re.match(r"expected tag (\w+), found", message)
    if missing:
        return f"“{{% {missing.group(1)} %}}” is missing."
    return message[:1].lower() + message[1:].replace("end of expression", "the end of the field") + "."


def _odd_character(sign: str) -> str | None:
    """What word processors and web pages put into fields, in words."""
    if sign in "“”„‟‘’‚‛«»":
        return f'the quotation mark {sign} stands in a field or a tag. Write straight ones there, such as "none".'
    if sign.isprintable():
        return None
    name = sms_plain.shown(sign)
    return f"a character that nobody sees ({name}) stands in a field or a tag. Delete the field and type it again."

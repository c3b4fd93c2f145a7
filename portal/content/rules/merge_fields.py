"""Merge fields: a restricted Liquid.

Templates are code, so they run under limits (docs/reliability.md#templates), without tags that load or capture, with
strict filters, and with every value marked when it is inserted into Markdown (`content.rules.markdown_literals`).
"""

import functools
import re
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TextIO

from liquid import BoundTemplate, Environment, RenderContext, StrictUndefined
from liquid.builtin.output import Output
from liquid.builtin.tags.echo_tag import EchoTag
from liquid.exceptions import LiquidError
from liquid.stringify import to_liquid_string

from portal.accounts.rules.account_fields import ACCOUNT_FIELDS
from portal.accounts.rules.attribute_values import AttributeDefinition, AttributeKind
from portal.content.rules import liquid_patches, merge_budget, merge_filters, merge_limits
from portal.content.rules.analysis import merge_requirements, merge_risks
from portal.content.rules.analysis.merge_requirements import CheckedOutputNode
from portal.content.rules.analysis.merge_risks import RiskyFields
from portal.content.rules.field_values import FieldValue, FilterError, UrlEncoded, with_field
from portal.content.rules.markdown_literals import mark_literal
from portal.content.rules.merge_dates import words_language
from portal.content.rules.merge_errors import FIELD_NAME, describe_error, describe_name_rule
from portal.core.translation import ENGLISH, N_
from portal.core.translation import gettext as _

_DATA = "data"
_rejects_blanks: ContextVar[bool] = ContextVar("rejects_blanks", default=False)
_is_markdown: ContextVar[bool] = ContextVar("is_markdown", default=False)
_PLAIN_FIELD = re.compile(r"\{\{ *([a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)?) *\}\}")
_FIELD_OR_TAG = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)


class MergeError(ValueError):
    """What is wrong with a template or a value. `line` counts from 1; `field_name` is the field of the value."""

    def __init__(self, text: str, line: int | None = None, field: str = "") -> None:
        super().__init__(_("Line %(line)s: %(problem)s", line=line, problem=text) if line else text)
        self.text, self.line, self.field_name = text, line, field


class _LimitedEnvironment(Environment):
    loop_iteration_limit = 500
    output_stream_limit = 100_000
    local_namespace_limit = 20_000
    context_depth_limit = 12


class _Output(CheckedOutputNode):
    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        merge_budget.spend_steps(1)
        _reject_blanks(self, context)
        value = self.expression.evaluate(context)
        text = to_liquid_string(value, False)
        return buffer.write(mark_literal(text, isinstance(value, UrlEncoded)) if _is_markdown.get() else text)


def _reject_blanks(node: CheckedOutputNode, context: RenderContext) -> None:
    """Raises `MergeError` if a blank value would leave a gap in the message."""
    if not (node.required_names and _rejects_blanks.get()):
        return
    data: Mapping[str, Any] = context.globals[_DATA]  # type: ignore[assignment]
    for name in node.required_names:
        head, _dot, inner = name.partition(".")
        if inner and not str(data.get(inner, inner)).strip():
            raise missing_value_error(inner)
        if not inner and not str(context.globals.get(head, head)).strip():
            raise MergeError(_("The account has no value for “%(label)s”.", label=head.replace("_", " ")), field=head)


@dataclass(frozen=True)
class CheckedTemplate:
    """The `data.…` names of a valid template, and those of them that may not be blank."""

    data_fields: tuple[str, ...]
    required_names: tuple[str, ...]


@functools.lru_cache(maxsize=256)
def check_template(
    source: str, fields: tuple[str, ...] = (), attributes: tuple[AttributeDefinition, ...] = ()
) -> CheckedTemplate:
    """Raises `MergeError` for the first unknown field, unknown tag or syntax error, with its line.

    `fields`, if given, are the only ones allowed: content blocks have neither account fields nor `data.…`.
    """
    template = _parse_template(source)
    variables = [variable for uses in _uses_of_fields(source).values() for variable in uses]
    account_fields = (*ACCOUNT_FIELDS, *(attribute.key for attribute in attributes))
    data_fields = [_data_field_name(variable, source, fields, account_fields) for variable in variables]
    names = tuple(dict.fromkeys(name for name in data_fields if name))
    data = {name: FieldValue("x", f"{_DATA}.{name}", is_sample=True) for name in names}
    samples = as_samples(dict.fromkeys(fields or ACCOUNT_FIELDS, "x")) | sample_attributes(attributes)
    _render(template, {**samples, _DATA: data})
    required = _parse(source)[1]
    prefix = f"{_DATA}."
    return CheckedTemplate(names, tuple(name.removeprefix(prefix) for name in required if name.startswith(prefix)))


@functools.lru_cache(maxsize=256)
def attribute_names(*sources: str) -> tuple[str, ...]:
    """The attributes that valid templates name, whether they exist or not."""
    names = (name for source in sources for name in _uses_of_fields(source))
    return tuple(dict.fromkeys(name for name in names if name not in ACCOUNT_FIELDS and name != _DATA))


@functools.lru_cache(maxsize=256)
def required_attributes(*sources: str) -> tuple[str, ...]:
    """Those of them that may not be blank."""
    names = (name for source in sources for name in _parse(source)[1])
    return tuple(dict.fromkeys(name for name in names if not name.startswith(f"{_DATA}.")))


@functools.lru_cache(maxsize=256)
def risky_fields(attributes: tuple[AttributeDefinition, ...], *sources: str) -> RiskyFields:
    """The fields of a person that decide whether valid templates can be filled in, beside `required_attributes`."""
    kinds = {attribute.key: attribute.kind for attribute in attributes}
    found = [merge_risks.find_risky_fields(_parse_template(source), kinds) for source in sources]
    exact = {name for fields in found for name in fields.exact}
    return RiskyFields(tuple(sorted(exact)), tuple(sorted({name for fields in found for name in fields.blank} - exact)))


def render_body(
    source: str, values: Mapping[str, Any], reject_blanks: bool = False, language: str = ENGLISH.code
) -> str:
    """Markdown with marked values, so that none of them is parsed as Markdown. `language` is that of the source.

    Raises `MergeError`; with `reject_blanks`, as in the other functions, also if a blank value would leave a gap.
    """
    text = _fill_plain_fields(source, values, markdown=True)
    return _render(_parse_template(source), values, reject_blanks, True, language) if text is None else text


def render_subject(
    source: str, values: Mapping[str, Any], reject_blanks: bool = False, language: str = ENGLISH.code
) -> str:
    """One line of plain text: a line break would let a value add email headers."""
    return " ".join(render_text(source, values, reject_blanks, language).split())


def render_text(
    source: str, values: Mapping[str, Any], reject_blanks: bool = False, language: str = ENGLISH.code
) -> str:
    """Plain text with the values unchanged."""
    text = _fill_plain_fields(source, values, markdown=False)
    return _render(_parse_template(source), values, reject_blanks, language=language) if text is None else text


def has_only_plain_fields(source: str) -> bool:
    """Whether it has neither filters nor tags, so that it renders for any recipient."""
    return _split_plain_fields(source) is not None


@functools.lru_cache(maxsize=256)
def person_fields(source: str, outside_plain_fields: bool = False) -> frozenset[str]:
    """The fields of the recipient in it; without any, it renders the same for everybody.

    With `outside_plain_fields`, only those in filters and tags, where a value can be an error. Raises `MergeError`.
    """
    template = _parse_template(_PLAIN_FIELD.sub(" ", source) if outside_plain_fields else source)
    names = (str(variable.segments[0]) for uses in template.analyze().globals.values() for variable in uses)
    return frozenset(names) - {_DATA}


def missing_value_error(name: str) -> MergeError:
    label = name.replace("_", " ")
    return MergeError(_("The template needs a value for “%(label)s”.", label=label), field=f"{_DATA}.{name}")


def merge_values(
    name: str,
    email: str,
    external_id: str,
    account_type: str,
    data: Mapping[str, Any],
    attributes: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Any]:
    return {
        **attributes,
        "name": name,
        "first_name": name.split()[0] if name.split() else name,
        "email": email,
        "external_id": external_id,
        "account_type": account_type,
        _DATA: dict(data),
    }


def sample_data(names: tuple[str, ...]) -> dict[str, str]:
    """Placeholder values for a preview: `exam_date` is [exam date]."""
    return {name: FieldValue(f"[{name.replace('_', ' ')}]", f"{_DATA}.{name}", is_sample=True) for name in names}


def sample_attributes(attributes: Iterable[AttributeDefinition]) -> dict[str, str]:
    """An example of each, which the filters for its kind can use."""
    return {
        attribute.key: FieldValue(attribute.example, attribute.key, is_sample=attribute.kind == AttributeKind.TEXT)
        for attribute in attributes
    }


def as_samples(values: Mapping[str, str]) -> dict[str, str]:
    """The values marked as samples, which filters do not try to parse."""
    return {name: FieldValue(value, name, is_sample=True) for name, value in values.items()}


def _parse_template(source: str) -> BoundTemplate:
    return _parse(source)[0]


@functools.lru_cache(maxsize=64)
def _uses_of_fields(source: str) -> Mapping[str, Any]:
    """Where a template uses each field that it does not set itself."""
    return _parse_template(source).analyze().globals


@functools.lru_cache(maxsize=256)
def _parse(source: str) -> tuple[BoundTemplate, tuple[str, ...]]:
    """The template, and its fields that need a value in every message."""
    try:
        merge_limits.check_limits(source)
        template = _environment().from_string(source)
        liquid_patches.patch_template(template)
        return template, merge_requirements.find_required_names(template)
    except LiquidError as error:
        raise _merge_error(error, source) from error
    except RecursionError as error:
        raise MergeError(describe_error("limit reached")) from error


@functools.lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = _LimitedEnvironment(undefined=StrictUndefined)
    environment.filters = merge_filters.build_filters(environment.filters)
    for tag in ("include", "render", "capture", "tablerow", "cycle"):
        del environment.tags[tag]
    for tag_class in (Output, EchoTag):
        environment.add_tag(type(tag_class.__name__, (tag_class,), {"node_class": _Output}))
    return environment


@functools.lru_cache(maxsize=256)
def _split_plain_fields(source: str) -> tuple[str, ...] | None:
    """Text and field names in turn; None if the source has filters or tags."""
    if "{%" in source or "{#" in source or len(_PLAIN_FIELD.findall(source)) != source.count("{{"):
        return None
    return tuple(_PLAIN_FIELD.split(source))


def _fill_plain_fields(source: str, values: Mapping[str, Any], markdown: bool) -> str | None:
    """The same as rendering at a tenth of the cost; None if the source needs real rendering."""
    pieces = _split_plain_fields(source)
    if pieces is None:
        return None
    if len(pieces) == 1:
        return source
    output = list(pieces)
    for index in range(1, len(pieces), 2):
        name, _dot, inner = pieces[index].partition(".")
        value = values.get(name)
        value = value.get(inner) if inner and isinstance(value, Mapping) else value
        if not isinstance(value, str) or not (value.strip() or pieces[index] in ACCOUNT_FIELDS):
            return None
        output[index] = mark_literal(value) if markdown else value
    return "".join(output)


def _render(
    template: BoundTemplate,
    values: Mapping[str, Any],
    reject_blanks: bool = False,
    markdown: bool = False,
    language: str = ENGLISH.code,
) -> str:
    merge_budget.reset_budget()
    _rejects_blanks.set(reject_blanks)
    _is_markdown.set(markdown)
    words_language.set(language)
    try:
        return template.render(**_with_field_names(values))
    except LiquidError as error:
        raise _merge_error(error) from error
    except MergeError:
        raise
    except (ArithmeticError, ValueError, TypeError, RecursionError) as error:
        raise MergeError(_("the template cannot be rendered: %(error)s.", error=str(error))) from error


def _with_field_names(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values with their field names attached, so that errors can name the field."""
    data = {name: with_field(value, f"{_DATA}.{name}") for name, value in values.get(_DATA, {}).items()}
    return {name: with_field(value, name) for name, value in values.items() if name != _DATA} | {_DATA: data}


def _data_field_name(
    variable: Any, source: str, fields: tuple[str, ...], account_fields: tuple[str, ...]
) -> str | None:
    """The name after `data.`; None for any other known field. Raises `MergeError` for an unknown field."""
    segments = [str(segment) for segment in variable.segments]
    if segments[0] in (fields or account_fields) and len(segments) == 1:
        return None
    line = source.count("\n", 0, variable.span.index) + 1
    if not fields and segments[0] == _DATA and len(segments) == 2 and FIELD_NAME.match(segments[1]):
        return segments[1]
    names = {"name": ".".join(segments), "names": ", ".join(fields or account_fields)}
    if fields:
        raise MergeError(_("there is no merge field “%(name)s”. Use one of %(names)s.", **names), line)
    message = N_("there is no merge field “%(name)s”. Use one of %(names)s, or data.something for a custom field.")
    rule = describe_name_rule(".".join(segments[1:])) if segments[0] == _DATA and segments[1:] else ""
    raise MergeError(f"{_(message, **names)} {rule}".strip(), line)


def _merge_error(error: LiquidError, source: str | None = None) -> MergeError:
    """With the line of the error; something missing at the end is reported on the last line."""
    token = getattr(error, "token", None)
    line = None
    if token is not None and token.start_index >= 0:
        line = token.source.count("\n", 0, token.start_index) + 1
    elif source is not None:
        line = source.rstrip("\n").count("\n") + 1
    if isinstance(error, FilterError):
        return MergeError(str(error.args[0]), line, error.field_name)
    message = str(error.args[0]) if error.args else _("the template has an error")
    if source is not None and "end of expression" in message:
        line = _line_of_fault(source, message) or line
    return MergeError(describe_error(message, token), line)


def _line_of_fault(source: str, message: str) -> int | None:
    """The line of the first field or tag that has this error when it stands alone."""
    for match in _FIELD_OR_TAG.finditer(source):
        try:
            _environment().from_string(match[0])
        except LiquidError as error:
            if error.args and error.args[0] == message:
                return source.count("\n", 0, match.start()) + 1
    return None

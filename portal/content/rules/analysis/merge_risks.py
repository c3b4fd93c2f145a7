"""Which values of a person decide whether a template can be filled in, worked out from the parsed template.

Most templates can be filled in for everybody who has the required values. The others have filters that refuse some
values, or parts under a condition that need a value of their own.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from liquid import BoundTemplate
from liquid.ast import Node
from liquid.builtin.expressions import FilteredExpression, Path
from liquid.builtin.expressions.filtered import Filter
from liquid.builtin.expressions.primitive import FloatLiteral, IntegerLiteral, Literal, StringLiteral
from liquid.builtin.tags.assign_tag import AssignNode
from liquid.builtin.tags.case_tag import CaseNode
from liquid.builtin.tags.for_tag import ForNode
from liquid.builtin.tags.if_tag import IfNode
from liquid.builtin.tags.unless_tag import UnlessNode
from liquid.expression import Expression

from portal.accounts.rules.attribute_values import AttributeKind
from portal.content.rules import liquid_patches, merge_dates
from portal.content.rules.analysis import merge_requirements
from portal.content.rules.analysis.merge_requirements import CheckedOutputNode
from portal.content.rules.liquid_patches import child_nodes

_DATA = "data"
_MAX_ARGUMENT_LENGTH = 100
"""So that no filter can make a value of an account too long."""
_TEXT_FILTERS = frozenset(
    {
        *("append", "prepend", "replace", "replace_first", "replace_last", "remove", "remove_first", "remove_last"),
        *("capitalize", "upcase", "downcase", "strip", "lstrip", "rstrip", "squish", "strip_newlines", "url_encode"),
    }
)
_CUTTING_FILTERS = frozenset({"slice", "truncate", "truncatewords"})
_NUMBER_FILTERS = frozenset({"plus", "minus", "at_least", "at_most", "abs", "ceil", "floor"})


@dataclass(frozen=True)
class RiskyFields:
    """Fields of a person that decide: `exact` by their value, `blank` by whether there is one."""

    exact: tuple[str, ...] = ()
    blank: tuple[str, ...] = ()


@dataclass
class _RiskVisitor:
    kinds: Mapping[str, str]
    """Of the attributes; other fields are text."""
    exact: set[str] = field(default_factory=set)
    blank: set[str] = field(default_factory=set)
    compared: set[str] = field(default_factory=set)
    tested: set[str] = field(default_factory=set)
    variables: dict[str, set[str]] = field(default_factory=dict)
    is_risky: bool = False

    def visit(self, nodes: Iterable[Node], is_conditional: bool = False) -> None:
        for node in nodes:
            self._visit_node(node, is_conditional)

    def _visit_node(self, node: Node, is_conditional: bool) -> None:
        if isinstance(node, AssignNode):
            self.variables.setdefault(str(node.name), set()).update(self._fields(node.expression))
            self._visit_value(node.expression, is_conditional)
        elif isinstance(node, CheckedOutputNode):
            self._visit_value(node.expression, is_conditional)
            if is_conditional and node.required_names:
                self.is_risky = True
                self.blank.update(name for name in node.required_names if not name.startswith(f"{_DATA}."))
        elif isinstance(node, IfNode | UnlessNode | CaseNode):
            for condition in merge_requirements.conditions(node):
                self._visit_condition(condition, is_conditional)
            self.visit(child_nodes(node), is_conditional=True)
        elif isinstance(node, ForNode):
            self._visit_loop(node)
        else:
            self.visit(child_nodes(node), is_conditional)

    def _visit_value(self, expression: Expression, is_conditional: bool) -> None:
        if not self._is_safe(expression):
            fields = self._fields(expression)
            self.exact |= fields
            self.is_risky |= bool(fields) or is_conditional

    def _visit_condition(self, condition: Expression, is_conditional: bool) -> None:
        (self.compared if _compares(condition) else self.tested).update(self._fields(condition))
        if liquid_patches.may_fail(condition):
            self.is_risky |= is_conditional or bool(self._fields(condition))

    def _visit_loop(self, node: ForNode) -> None:
        """What the items are is not followed, so everything in a loop counts."""
        for inner in (node, *liquid_patches.walk(child_nodes(node))):
            for expression in inner.expressions():
                self.exact |= self._fields(expression)
        self.is_risky = True

    def _fields(self, expression: Expression) -> set[str]:
        """The fields of a person in it, also those behind variables."""
        return {name for path in _paths(expression) for name in self._resolve(str(path.path[0]))}

    def _resolve(self, head: str) -> set[str]:
        return self.variables.get(head, {head} - {_DATA})

    def _is_safe(self, expression: Expression) -> bool:
        if not isinstance(expression, FilteredExpression):
            return isinstance(expression, Path | Literal)
        if not isinstance(expression.left, Path | Literal):
            return False
        kind = self._kind(expression.left)
        for item in expression.filters or []:
            if not _takes(item, kind):
                return False
            kind = _kind_after(item, kind)
        return True

    def _kind(self, left: Expression) -> str:
        if not isinstance(left, Path) or len(left.path) > 1 or str(left.path[0]) in self.variables:
            return AttributeKind.TEXT
        return self.kinds.get(str(left.path[0]), AttributeKind.TEXT)


def find_risky_fields(template: BoundTemplate, kinds: Mapping[str, str]) -> RiskyFields:
    """Empty if the template can be filled in for everybody who has the required values, or for nobody."""
    visitor = _RiskVisitor(kinds)
    visitor.visit(template.nodes)
    if not visitor.is_risky:
        return RiskyFields()
    exact = visitor.exact | visitor.compared
    blank = (visitor.blank | visitor.tested) - exact
    return RiskyFields(tuple(sorted(exact)), tuple(sorted(blank)))


def _paths(expression: Expression) -> Iterator[Path]:
    if isinstance(expression, Path):
        yield expression
    for child in expression.children():
        yield from _paths(child)


def _compares(condition: Expression) -> bool:
    """Whether it does more than test for a value."""
    return not all(isinstance(part, Path) or liquid_patches.is_test(part) for part in _parts(condition))


def _parts(condition: Expression) -> Iterator[Expression]:
    for child in condition.children():
        yield child
        yield from _parts(child)


def _takes(item: Filter, kind: str) -> bool:
    """Whether the filter accepts any value of the kind."""
    values = [argument.value for argument in item.args]
    if any(not isinstance(value, Literal) or len(str(value)) > _MAX_ARGUMENT_LENGTH for value in values):
        return False
    if item.name == "date":
        formats = [str(value.value) for value in values if isinstance(value, StringLiteral)]
        return (
            kind == AttributeKind.DATE and len(formats) == len(values) and all(map(merge_dates.is_day_format, formats))
        )
    if item.name in _NUMBER_FILTERS:
        return kind == AttributeKind.NUMBER and _are_numbers(values)
    if item.name in _CUTTING_FILTERS:
        return bool(values) and isinstance(values[0], IntegerLiteral)
    are_texts = all(isinstance(value, StringLiteral) for value in values)
    return item.name == "default" or (item.name in _TEXT_FILTERS and are_texts)


def _are_numbers(values: Iterable[object]) -> bool:
    return all(isinstance(value, IntegerLiteral | FloatLiteral) for value in values)


def _kind_after(item: Filter, kind: str) -> str:
    if item.name in _NUMBER_FILTERS:
        return kind
    if (
        item.name == "default"
        and kind == AttributeKind.NUMBER
        and _are_numbers(argument.value for argument in item.args)
    ):
        return kind
    return AttributeKind.TEXT

"""Replace nodes of a parsed template where Liquid would guess: blank is false, 10 > 9, and text is not 0."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from liquid import BoundTemplate, RenderContext
from liquid.ast import Node
from liquid.builtin.expressions import BooleanExpression, LoopExpression, Path
from liquid.builtin.expressions.logical import (
    EqExpression,
    GeExpression,
    GtExpression,
    LeExpression,
    LogicalAndExpression,
    LogicalOrExpression,
    LtExpression,
    NeExpression,
    _eq,
)
from liquid.builtin.expressions.primitive import RangeLiteral
from liquid.builtin.tags.case_tag import MultiExpressionBlockNode, _AnyExpression
from liquid.expression import Expression

from portal.content.rules import merge_comparison, merge_numbers
from portal.content.rules.field_values import FieldValue, FilterError
from portal.content.rules.merge_filters import UnusableValue


def patch_template(template: BoundTemplate) -> None:
    for node in _walk(template.nodes):
        if isinstance(node, MultiExpressionBlockNode):
            node.expression = _AnyOf(node.expression.token, node.expression.left, node.expression.expressions)
        for expression in node.expressions():
            _patch_expression(expression)


def child_nodes(node: Node) -> Iterable[Node]:
    return node.children(None)  # type: ignore[arg-type]  # only tags that load other templates use the context


class _PathExpression(Expression):
    """A field whose value is not used as plain text."""

    __slots__ = ("path",)

    def __init__(self, path: Path) -> None:
        super().__init__(path.token)
        self.path = path

    def children(self) -> list[Expression]:
        return [self.path]


class _TruthyPath(_PathExpression):
    """A field used as a condition: blank is false, while in Liquid only nil and false are."""

    def evaluate(self, context: RenderContext) -> object:
        value = self.path.evaluate(context)
        return False if isinstance(value, str) and not value.strip() else value


class _IntegerPath(_PathExpression):
    """A loop bound from a `data.…` field: Liquid would read a value that is not a number as 0.

    Account fields keep Liquid's behaviour, because the author of a send cannot correct them.
    """

    def evaluate(self, context: RenderContext) -> object:
        value = self.path.evaluate(context)
        if not (isinstance(value, FieldValue) and value.field_name.startswith("data.")):
            return value
        try:
            return merge_numbers.to_integer(value)
        except FilterError as error:
            raise UnusableValue(error, self.token) from error


class _Comparison(Expression):
    __slots__ = ("left", "right", "rule")

    def __init__(self, original: Any, rule: Callable[[Any, Any], bool]) -> None:
        super().__init__(original.token)
        self.left, self.right, self.rule = original.left, original.right, rule

    def evaluate(self, context: RenderContext) -> object:
        return _apply_rule(self.rule, self.left.evaluate(context), self.right.evaluate(context), self)

    def children(self) -> list[Expression]:
        return [self.left, self.right]


class _AnyOf(_AnyExpression):
    """The values of a `when` tag."""

    def evaluate(self, context: RenderContext) -> list[bool]:
        left = self.left.evaluate(context)
        return [_apply_rule(_equals, left, right.evaluate(context), self) for right in self.expressions]


def _apply_rule(rule: Callable[[Any, Any], bool], left: Any, right: Any, expression: Expression) -> bool:
    try:
        return rule(left, right)
    except FilterError as error:
        raise UnusableValue(error, expression.token) from error


def _equals(left: Any, right: Any) -> bool:
    merge_comparison.reject_booleans(left, right)
    if merge_comparison.is_text_and_number(left, right):
        text, number = (left, right) if isinstance(left, str) else (right, left)
        return merge_comparison.equals_number(text, number)
    if left is None or right is None:
        return merge_comparison.is_blank(left) and merge_comparison.is_blank(right)
    return bool(_eq(left, right))


_COMPARISONS: dict[type[Expression], Callable[[Any, Any], bool]] = {
    EqExpression: _equals,
    NeExpression: lambda left, right: not _equals(left, right),
    LtExpression: lambda left, right: merge_comparison.compare_values(left, right) == -1,
    GtExpression: lambda left, right: merge_comparison.compare_values(left, right) == 1,
    LeExpression: lambda left, right: merge_comparison.compare_values(left, right) in (-1, 0),
    GeExpression: lambda left, right: merge_comparison.compare_values(left, right) in (0, 1),
}


def _walk(nodes: Iterable[Node]) -> Iterator[Node]:
    for node in nodes:
        yield node
        yield from _walk(child_nodes(node))


def _patch_expression(expression: Expression) -> None:
    if isinstance(expression, BooleanExpression):
        expression.expression = _patch_condition(expression.expression)
    elif isinstance(expression, LogicalAndExpression | LogicalOrExpression):
        expression.left, expression.right = _patch_condition(expression.left), _patch_condition(expression.right)
    elif isinstance(expression, RangeLiteral):
        expression.start, expression.stop = _patch_integer(expression.start), _patch_integer(expression.stop)
    elif isinstance(expression, LoopExpression):
        expression.limit = expression.limit and _patch_integer(expression.limit)
        expression.offset = expression.offset and _patch_integer(expression.offset)
    for child in expression.children():
        _patch_expression(child)


def _patch_condition(operand: Expression) -> Expression:
    if rule := _COMPARISONS.get(type(operand)):
        return _Comparison(operand, rule)
    return _TruthyPath(operand) if isinstance(operand, Path) else operand


def _patch_integer(operand: Expression) -> Expression:
    return _IntegerPath(operand) if isinstance(operand, Path) else operand

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
)
from liquid.builtin.expressions.primitive import RangeLiteral, StringLiteral
from liquid.builtin.tags.case_tag import MultiExpressionBlockNode
from liquid.expression import Expression
from liquid.token import Token

from portal.content.rules import merge_numbers
from portal.content.rules.field_values import FieldValue, FilterError
from portal.content.rules.merge_comparison import compare_values, equals


def patch_template(template: BoundTemplate) -> None:
    for node in walk(template.nodes):
        if isinstance(node, MultiExpressionBlockNode):
            values = node.expression
            node.expression = _Rule(values.token, _equals_any, values.left, *values.expressions)  # type: ignore[assignment]
        for expression in node.expressions():
            _patch_expression(expression)


def child_nodes(node: Node) -> Iterable[Node]:
    return node.children(None)  # type: ignore[arg-type]  # only tags that load other templates use the context


class _Rule(Expression):
    """A function of the values of its operands."""

    __slots__ = ("operands", "rule")

    def __init__(self, token: Token, rule: Callable[..., Any], *operands: Expression) -> None:
        super().__init__(token)
        self.rule, self.operands = rule, operands

    def evaluate(self, context: RenderContext) -> object:
        try:
            return self.rule(*(operand.evaluate(context) for operand in self.operands))
        except FilterError as error:
            error.token = self.token
            raise

    def children(self) -> list[Expression]:
        return list(self.operands)


def _equals_any(value: Any, *others: Any) -> list[bool]:
    return [equals(value, other) for other in others]


def _truthy(value: Any) -> Any:
    """A blank field is false as a condition, while in Liquid only nil and false are."""
    return False if isinstance(value, str) and not value.strip() else value


def _to_integer(value: Any) -> Any:
    """A loop bound from a `data.…` field: Liquid would read a value that is not a number as 0.

    Account fields keep Liquid's behaviour, because the author of a send cannot correct them.
    """
    is_data = isinstance(value, FieldValue) and value.field_name.startswith("data.")
    return merge_numbers.to_integer(value) if is_data else value


_COMPARISONS: dict[type[Expression], Callable[[Any, Any], bool]] = {
    EqExpression: equals,
    NeExpression: lambda left, right: not equals(left, right),
    LtExpression: lambda left, right: compare_values(left, right) == -1,
    GtExpression: lambda left, right: compare_values(left, right) == 1,
    LeExpression: lambda left, right: compare_values(left, right) in (-1, 0),
    GeExpression: lambda left, right: compare_values(left, right) in (0, 1),
}


def may_fail(condition: Expression) -> bool:
    """Whether a condition refuses some values: all comparisons do, except with words in quotes."""
    if isinstance(condition, _Rule):
        return condition.rule is not _truthy and not any(isinstance(side, StringLiteral) for side in condition.operands)
    return any(map(may_fail, condition.children()))


def is_test(expression: Expression) -> bool:
    """Whether it is true for whatever is not blank."""
    return isinstance(expression, _Rule) and expression.rule is _truthy


def walk(nodes: Iterable[Node]) -> Iterator[Node]:
    for node in nodes:
        yield node
        yield from walk(child_nodes(node))


def _patch_expression(expression: Expression) -> None:
    patch, names = _PATCHES.get(type(expression), (_patch_integer, ()))
    for name in names:
        setattr(expression, name, patch(getattr(expression, name)))
    for child in expression.children():
        _patch_expression(child)


def _patch_condition(operand: Any) -> Any:
    if rule := _COMPARISONS.get(type(operand)):
        return _Rule(operand.token, rule, operand.left, operand.right)
    return _Rule(operand.token, _truthy, operand) if isinstance(operand, Path) else operand


def _patch_integer(operand: Any) -> Any:
    return _Rule(operand.token, _to_integer, operand) if isinstance(operand, Path) else operand


_PATCHES: dict[type[Expression], tuple[Callable[[Any], Any], tuple[str, ...]]] = {
    BooleanExpression: (_patch_condition, ("expression",)),
    LogicalAndExpression: (_patch_condition, ("left", "right")),
    LogicalOrExpression: (_patch_condition, ("left", "right")),
    RangeLiteral: (_patch_integer, ("start", "stop")),
    LoopExpression: (_patch_integer, ("limit", "offset")),
}
"""The operands that are replaced, by the kind of expression."""

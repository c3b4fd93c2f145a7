"""What is amended in a parsed template, where Liquid would guess: blank is false, 10 is more than 9, words are no 0."""

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

from portal.domain import merge_compare, merge_numbers
from portal.domain.given import Given, Unreadable
from portal.domain.merge_filters import Unusable


def amend(template: BoundTemplate) -> None:
    for node in _every(template.nodes):
        if isinstance(node, MultiExpressionBlockNode):
            node.expression = _AnyOf(node.expression.token, node.expression.left, node.expression.expressions)
        for expression in node.expressions():
            _amend(expression)


def children(node: Node) -> Iterable[Node]:
    return node.children(None)  # type: ignore[arg-type]  # asked only by tags that load other templates


class _OfPath(Expression):
    """A field, read another way than as its text."""

    __slots__ = ("path",)

    def __init__(self, path: Path) -> None:
        super().__init__(path.token)
        self.path = path

    def children(self) -> list[Expression]:
        return [self.path]


class _IsGiven(_OfPath):
    """A field asked about by itself: blank is false, which Liquid says of nil only."""

    def evaluate(self, context: RenderContext) -> object:
        value = self.path.evaluate(context)
        return False if isinstance(value, str) and not value.strip() else value


class _Count(_OfPath):
    """A value of the send that says how far a loop goes, which Liquid takes for 0 if it is no number.

    An account's field is left to Liquid: nobody can give another one with the send.
    """

    def evaluate(self, context: RenderContext) -> object:
        value = self.path.evaluate(context)
        if not (isinstance(value, Given) and value.field.startswith("data.")):
            return value
        try:
            return merge_numbers.whole(value)
        except Unreadable as error:
            raise Unusable(error, self.token) from error


class _Compared(Expression):
    __slots__ = ("left", "right", "rule")

    def __init__(self, of: Any, rule: Callable[[Any, Any], bool]) -> None:
        super().__init__(of.token)
        self.left, self.right, self.rule = of.left, of.right, rule

    def evaluate(self, context: RenderContext) -> object:
        return _said(self.rule, self.left.evaluate(context), self.right.evaluate(context), self)

    def children(self) -> list[Expression]:
        return [self.left, self.right]


class _AnyOf(_AnyExpression):
    """The words behind `when`."""

    def evaluate(self, context: RenderContext) -> list[bool]:
        left = self.left.evaluate(context)
        return [_said(_is_same, left, right.evaluate(context), self) for right in self.expressions]


def _said(rule: Callable[[Any, Any], bool], left: Any, right: Any, place: Expression) -> bool:
    try:
        return rule(left, right)
    except Unreadable as error:
        raise Unusable(error, place.token) from error


def _is_same(left: Any, right: Any) -> bool:
    merge_compare.refuse_truth(left, right)
    if merge_compare.is_text_and_number(left, right):
        text, number = (left, right) if isinstance(left, str) else (right, left)
        return merge_compare.are_same_number(text, number)
    if left is None or right is None:
        return merge_compare.is_blank(left) and merge_compare.is_blank(right)
    return bool(_eq(left, right))


_RULES: dict[type[Expression], Callable[[Any, Any], bool]] = {
    EqExpression: _is_same,
    NeExpression: lambda left, right: not _is_same(left, right),
    LtExpression: lambda left, right: merge_compare.order(left, right) == -1,
    GtExpression: lambda left, right: merge_compare.order(left, right) == 1,
    LeExpression: lambda left, right: merge_compare.order(left, right) in (-1, 0),
    GeExpression: lambda left, right: merge_compare.order(left, right) in (0, 1),
}


def _every(nodes: Iterable[Node]) -> Iterator[Node]:
    for node in nodes:
        yield node
        yield from _every(children(node))


def _amend(expression: Expression) -> None:
    if isinstance(expression, BooleanExpression):
        expression.expression = _asked(expression.expression)
    elif isinstance(expression, LogicalAndExpression | LogicalOrExpression):
        expression.left, expression.right = _asked(expression.left), _asked(expression.right)
    elif isinstance(expression, RangeLiteral):
        expression.start, expression.stop = _count(expression.start), _count(expression.stop)
    elif isinstance(expression, LoopExpression):
        expression.limit = expression.limit and _count(expression.limit)
        expression.offset = expression.offset and _count(expression.offset)
    for child in expression.children():
        _amend(child)


def _asked(operand: Expression) -> Expression:
    if rule := _RULES.get(type(operand)):
        return _Compared(operand, rule)
    return _IsGiven(operand) if isinstance(operand, Path) else operand


def _count(operand: Expression) -> Expression:
    return _Count(operand) if isinstance(operand, Path) else operand

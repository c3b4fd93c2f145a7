"""What is amended in a parsed template: blank is false, and a range counts to a number or not at all."""

from collections.abc import Iterable, Iterator

from liquid import BoundTemplate, RenderContext
from liquid.ast import Node
from liquid.builtin.expressions import BooleanExpression, Path
from liquid.builtin.expressions.logical import LogicalAndExpression, LogicalOrExpression
from liquid.builtin.expressions.primitive import RangeLiteral
from liquid.expression import Expression

from portal.domain import merge_numbers
from portal.domain.given import Unreadable
from portal.domain.merge_filters import Unusable


def amend(template: BoundTemplate) -> None:
    for node in _every(template.nodes):
        for expression in node.expressions():
            _amend(expression)


def children(node: Node) -> Iterable[Node]:
    return node.children(None)  # type: ignore[arg-type]  # asked only by tags that load other templates


class _IsGiven(Expression):
    """A field asked about by itself: blank is false, which Liquid says of nil only."""

    __slots__ = ("path",)

    def __init__(self, path: Path) -> None:
        super().__init__(path.token)
        self.path = path

    def evaluate(self, context: RenderContext) -> object:
        value = self.path.evaluate(context)
        return False if isinstance(value, str) and not value.strip() else value

    def children(self) -> list[Expression]:
        return [self.path]


class _End(_IsGiven):
    """A field that a range begins or ends with, which Liquid takes for 0 if it is no number."""

    def evaluate(self, context: RenderContext) -> object:
        try:
            return merge_numbers.whole(self.path.evaluate(context))
        except Unreadable as error:
            raise Unusable(error, self.path.token) from error


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
        expression.start, expression.stop = _end(expression.start), _end(expression.stop)
    for child in expression.children():
        _amend(child)


def _asked(operand: Expression) -> Expression:
    return _IsGiven(operand) if isinstance(operand, Path) else operand


def _end(operand: Expression) -> Expression:
    return _End(operand) if isinstance(operand, Path) else operand

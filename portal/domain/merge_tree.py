"""What is amended in a parsed template: a field that is asked about by itself is false when it is blank."""

from collections.abc import Iterable, Iterator

from liquid import BoundTemplate, RenderContext
from liquid.ast import Node
from liquid.builtin.expressions import BooleanExpression, Path
from liquid.builtin.expressions.logical import LogicalAndExpression, LogicalOrExpression
from liquid.expression import Expression


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


def _every(nodes: Iterable[Node]) -> Iterator[Node]:
    for node in nodes:
        yield node
        yield from _every(children(node))


def _amend(expression: Expression) -> None:
    if isinstance(expression, BooleanExpression):
        expression.expression = _asked(expression.expression)
    elif isinstance(expression, LogicalAndExpression | LogicalOrExpression):
        expression.left, expression.right = _asked(expression.left), _asked(expression.right)
    for child in expression.children():
        _amend(child)


def _asked(operand: Expression) -> Expression:
    return _IsGiven(operand) if isinstance(operand, Path) else operand

"""Which `data.…` fields a template needs, and which of them may be left blank: read from its parsed tree.

A field may be blank where a `default` follows it, or where the template asks about it (`if`, `unless`, `case`). Written
out anywhere else it needs a value: always if nothing stands around it, else for the people who get that part.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from liquid import BoundTemplate
from liquid.ast import BlockNode, Node
from liquid.builtin.expressions import FilteredExpression, Path
from liquid.builtin.output import OutputNode
from liquid.builtin.tags.assign_tag import AssignNode
from liquid.builtin.tags.case_tag import CaseNode
from liquid.builtin.tags.for_tag import ForNode
from liquid.builtin.tags.if_tag import IfNode
from liquid.builtin.tags.unless_tag import UnlessNode
from liquid.expression import Expression

from portal.domain.merge_tree import children

_DATA = "data"


class NeedyNode(OutputNode):
    """A place that writes something out; `needs` are the `data.…` names that may not be blank there."""

    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Place:
    asked_about: frozenset[str] = frozenset()
    is_certain: bool = True


@dataclass
class _Walk:
    required: dict[str, None] = field(default_factory=dict)
    by_name: dict[str, frozenset[str]] = field(default_factory=dict)
    """Names that the template assigns itself, with the fields they were made from."""

    def nodes(self, nodes: Iterable[Node], place: _Place) -> None:
        for node in nodes:
            self._node(node, place)

    def _node(self, node: Node, place: _Place) -> None:
        if isinstance(node, AssignNode):
            made_from = frozenset(self._written(node.expression)) - place.asked_about
            before = frozenset() if place.is_certain else self.by_name.get(str(node.name), frozenset())
            self.by_name[str(node.name)] = before | made_from
        elif isinstance(node, NeedyNode):
            node.needs = tuple(dict.fromkeys(self._needed(node.expression, place)))
        elif isinstance(node, IfNode | UnlessNode | CaseNode):
            asked = frozenset(name for found in _conditions(node) for name in self._named(found))
            self.nodes(children(node), replace(place, asked_about=place.asked_about | asked, is_certain=False))
        else:
            self.nodes(children(node), self._in_loop(node, place) if isinstance(node, ForNode) else place)

    def _in_loop(self, node: ForNode, place: _Place) -> _Place:
        """A loop with an `else` is a question about its list."""
        if node.default is not None:
            return replace(place, asked_about=place.asked_about | frozenset(self._named(node.expression)))
        for _ in self._needed(node.expression, place):
            continue
        return place

    def _needed(self, expression: Expression, place: _Place) -> Iterator[str]:
        for name in self._written(expression):
            if name not in place.asked_about:
                if place.is_certain:
                    self.required[name] = None
                yield name

    def _written(self, expression: Expression) -> Iterator[str]:
        """The fields that show through: what stands before a `default`, or in it, may be blank."""
        if not isinstance(expression, FilteredExpression):
            yield from self._named(expression)
            return
        filters = expression.filters or []
        last = max((place for place, one in enumerate(filters, 1) if one.name == "default"), default=0)
        if not last:
            yield from self._named(expression.left)
        for one in filters[last:]:
            for argument in one.children():
                yield from self._named(argument)

    def _named(self, expression: Expression) -> Iterator[str]:
        if isinstance(expression, Path):
            yield from self._fields(expression.path)
        for child in expression.children():
            yield from self._named(child)

    def _fields(self, path: list[Any]) -> Iterable[str]:
        if path[0] == _DATA and len(path) > 1 and _DATA not in self.by_name:
            return [str(path[1])]
        return sorted(self.by_name.get(str(path[0]), ()))


def required(template: BoundTemplate) -> tuple[str, ...]:
    """The names that every send must give. Notes at each place that writes what must not be blank there."""
    walk = _Walk()
    walk.nodes(template.nodes, _Place())
    return tuple(walk.required)


def _conditions(node: IfNode | UnlessNode | CaseNode) -> Iterator[Expression]:
    yield from node.expressions()
    for child in children(node):
        if not isinstance(child, BlockNode):
            yield from child.expressions()

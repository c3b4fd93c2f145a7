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

from portal.content.rules.liquid_patches import child_nodes

_DATA = "data"


class CheckedOutputNode(OutputNode):
    """A place that writes something out; `needs` are the `data.…` names that may not be blank there."""

    required_names: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Scope:
    tested_fields: frozenset[str] = frozenset()
    is_unconditional: bool = True


@dataclass
class _RequirementVisitor:
    required_names: dict[str, None] = field(default_factory=dict)
    assigned_fields: dict[str, frozenset[str]] = field(default_factory=dict)
    """Names that the template assigns itself, with the fields they were made from."""

    def visit(self, nodes: Iterable[Node], place: _Scope) -> None:
        for node in nodes:
            self._visit_node(node, place)

    def _visit_node(self, node: Node, place: _Scope) -> None:
        if isinstance(node, AssignNode):
            made_from = frozenset(self._output_fields(node.expression)) - place.tested_fields
            before = frozenset() if place.is_unconditional else self.assigned_fields.get(str(node.name), frozenset())
            self.assigned_fields[str(node.name)] = before | made_from
        elif isinstance(node, CheckedOutputNode):
            node.required_names = tuple(dict.fromkeys(self._required_in(node.expression, place)))
        elif isinstance(node, IfNode | UnlessNode | CaseNode):
            asked = frozenset(name for found in _conditions(node) for name in self._referenced_fields(found))
            self.visit(
                child_nodes(node), replace(place, tested_fields=place.tested_fields | asked, is_unconditional=False)
            )
        else:
            self.visit(child_nodes(node), self._loop_scope(node, place) if isinstance(node, ForNode) else place)

    def _loop_scope(self, node: ForNode, place: _Scope) -> _Scope:
        """A loop with an `else` is a question about its list."""
        if node.default is not None:
            return replace(
                place, tested_fields=place.tested_fields | frozenset(self._referenced_fields(node.expression))
            )
        for _ in self._required_in(node.expression, place):
            continue
        return place

    def _required_in(self, expression: Expression, place: _Scope) -> Iterator[str]:
        for name in self._output_fields(expression):
            if name not in place.tested_fields:
                if place.is_unconditional:
                    self.required_names[name] = None
                yield name

    def _output_fields(self, expression: Expression) -> Iterator[str]:
        """The fields that show through: what stands before a `default`, or in it, may be blank."""
        if not isinstance(expression, FilteredExpression):
            yield from self._referenced_fields(expression)
            return
        filters = expression.filters or []
        last = max((place for place, one in enumerate(filters, 1) if one.name == "default"), default=0)
        if not last:
            yield from self._referenced_fields(expression.left)
        for one in filters[last:]:
            for argument in one.children():
                yield from self._referenced_fields(argument)

    def _referenced_fields(self, expression: Expression) -> Iterator[str]:
        if isinstance(expression, Path):
            yield from self._resolve_path(expression.path)
        for child in expression.children():
            yield from self._referenced_fields(child)

    def _resolve_path(self, path: list[Any]) -> Iterable[str]:
        if path[0] == _DATA and len(path) > 1 and _DATA not in self.assigned_fields:
            return [str(path[1])]
        return sorted(self.assigned_fields.get(str(path[0]), ()))


def find_required_names(template: BoundTemplate) -> tuple[str, ...]:
    """The names that every send must give. Notes at each place that writes what must not be blank there."""
    walk = _RequirementVisitor()
    walk.visit(template.nodes, _Scope())
    return tuple(walk.required_names)


def _conditions(node: IfNode | UnlessNode | CaseNode) -> Iterator[Expression]:
    yield from node.expressions()
    for child in child_nodes(node):
        if not isinstance(child, BlockNode):
            yield from child.expressions()

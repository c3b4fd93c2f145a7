"""Which values a template needs, and which of them may be blank, worked out from the parsed template.

They are those of the send (`data.…`) and of the account's attributes. Its other fields are never blank.

A field may be blank where a `default` follows it or inside an `if`, `unless` or `case` that tests it. Any other output
of it needs a value: for every recipient if it is unconditional, otherwise for those who get that part.
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

from portal.accounts.rules.account_fields import ACCOUNT_FIELDS
from portal.content.rules.liquid_patches import child_nodes

_DATA = "data"


class CheckedOutputNode(OutputNode):
    """`required_names` are the fields that may not be blank in this output, such as data.fee or expires_on."""

    required_names: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Scope:
    tested_fields: frozenset[str] = frozenset()
    is_unconditional: bool = True


@dataclass
class _RequirementVisitor:
    required_names: dict[str, None] = field(default_factory=dict)
    assigned_fields: dict[str, frozenset[str]] = field(default_factory=dict)
    """Variables that the template assigns, with the fields they depend on."""

    def visit(self, nodes: Iterable[Node], scope: _Scope) -> None:
        for node in nodes:
            self._visit_node(node, scope)

    def _visit_node(self, node: Node, scope: _Scope) -> None:
        if isinstance(node, AssignNode):
            sources = frozenset(self._output_fields(node.expression)) - scope.tested_fields
            before = frozenset() if scope.is_unconditional else self.assigned_fields.get(str(node.name), frozenset())
            self.assigned_fields[str(node.name)] = before | sources
        elif isinstance(node, CheckedOutputNode):
            node.required_names = tuple(dict.fromkeys(self._required_in(node.expression, scope)))
        elif isinstance(node, IfNode | UnlessNode | CaseNode):
            tested = frozenset(name for test in conditions(node) for name in self._referenced_fields(test))
            inner = replace(scope, tested_fields=scope.tested_fields | tested, is_unconditional=False)
            self.visit(child_nodes(node), inner)
        elif isinstance(node, ForNode):
            self._visit_loop(node, scope)
        else:
            self.visit(child_nodes(node), scope)

    def _visit_loop(self, node: ForNode, scope: _Scope) -> None:
        """A loop with an `else` tests its list. The name of an item hides a field of that name."""
        if node.default is not None:
            tested = scope.tested_fields.union(self._referenced_fields(node.expression))
            scope = replace(scope, tested_fields=tested)
        else:
            list(self._required_in(node.expression, scope))
        outer = self.assigned_fields
        items = dict.fromkeys((str(node.expression.identifier), "forloop"), frozenset[str]())
        self.assigned_fields = outer | items
        self.visit(child_nodes(node), scope)
        assigned = {name: fields for name, fields in self.assigned_fields.items() if name not in items}
        self.assigned_fields = assigned | {name: outer[name] for name in items if name in outer}

    def _required_in(self, expression: Expression, scope: _Scope) -> Iterator[str]:
        for name in self._output_fields(expression):
            if name not in scope.tested_fields:
                if scope.is_unconditional:
                    self.required_names[name] = None
                yield name

    def _output_fields(self, expression: Expression) -> Iterator[str]:
        """The fields that appear in the output, without those before a `default` or in its argument."""
        if not isinstance(expression, FilteredExpression):
            yield from self._referenced_fields(expression)
            return
        filters = expression.filters or []
        start = max((index for index, item in enumerate(filters, 1) if item.name == "default"), default=0)
        if not start:
            yield from self._referenced_fields(expression.left)
        for item in filters[start:]:
            for argument in item.children():
                yield from self._referenced_fields(argument)

    def _referenced_fields(self, expression: Expression) -> Iterator[str]:
        if isinstance(expression, Path):
            yield from self._resolve_path(expression.path)
        for child in expression.children():
            yield from self._referenced_fields(child)

    def _resolve_path(self, path: list[Any]) -> Iterable[str]:
        head = str(path[0])
        if head in self.assigned_fields:
            return sorted(self.assigned_fields[head])
        if head == _DATA:
            return [f"{_DATA}.{path[1]}"] if len(path) > 1 else []
        return [] if head in ACCOUNT_FIELDS else [head]


def find_required_names(template: BoundTemplate) -> tuple[str, ...]:
    """The fields that need a value in every message. Also sets `required_names` on each output node."""
    visitor = _RequirementVisitor()
    visitor.visit(template.nodes, _Scope())
    return tuple(visitor.required_names)


def conditions(node: IfNode | UnlessNode | CaseNode) -> Iterator[Expression]:
    yield from node.expressions()
    for child in child_nodes(node):
        if not isinstance(child, BlockNode):
            yield from child.expressions()

"""What still needs a template or the values that it asks for: schedules, recipient files."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from portal.content.message_templates import TemplateDraft, data_fields, draft_of
from portal.content.tables.templates import Template, find_template_version


@dataclass(frozen=True)
class TemplateUse:
    """`label` is translated. `provides` are the `data.…` names for which it has values.

    An active use, such as a schedule that has not ended, keeps the template from being archived.
    """

    label: str
    url: str
    provides: frozenset[str]
    is_active: bool = True


FINDERS: list[Callable[[int], Collection[TemplateUse]]] = []
"""Each finds the uses of one kind, by the id of the template."""


def template_uses(template_id: int) -> list[TemplateUse]:
    return [use for find_uses in FINDERS for use in find_uses(template_id)]


def affected_uses(template: Template, draft: TemplateDraft) -> dict[str, list[TemplateUse]]:
    """The `data.…` names that the draft no longer has, with the uses that provide values for them."""
    kept = data_fields(draft)
    removed = [name for name in data_fields(draft_of(find_template_version(template))) if name not in kept]
    uses = template_uses(template.id) if removed else []
    affected = {name: [use for use in uses if name in use.provides] for name in removed}
    return {name: providers for name, providers in affected.items() if providers}

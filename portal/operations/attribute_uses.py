"""What names an attribute, so that it cannot be removed or renamed: templates, audiences and sends."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from portal.accounts.attribute_checks import AttributeUse
from portal.content.message_templates import attribute_fields
from portal.content.tables.saved_drafts import SavedDraft, saved_drafts
from portal.content.tables.templates import TemplateVersion, current_template_versions
from portal.core.extensions import db
from portal.core.rules.case_folding import fold_case
from portal.schedules.rules.schedule_states import ScheduleState
from portal.schedules.tables.schedules import schedules_in_state
from portal.sends.rules.send_state import SendState
from portal.sends.tables.saved_audiences import saved_audiences
from portal.sends.tables.sends import FANNING_OUT_STATES, active_sends, sends_to_approve


def attribute_uses(key: str, choice: str = "") -> list[AttributeUse]:
    """All uses of the attribute, or those that name one of its choices."""
    return [use for find_uses in _FINDERS for use in find_uses(key, choice)]


def _templates_with(key: str, choice: str) -> Iterator[AttributeUse]:
    for version in current_template_versions():
        if _names_attribute(version, key, choice):
            yield AttributeUse("template", version.template.name, version.template_id)


def _drafts_with(key: str, choice: str) -> Iterator[AttributeUse]:
    for draft in saved_drafts():
        if _names_attribute(draft, key, choice):
            yield AttributeUse("draft", draft.name, draft.template_id)


def _audiences_with(key: str, choice: str) -> Iterator[AttributeUse]:
    for audience in db.session.scalars(saved_audiences()):
        if audience_names(audience.definition, key, choice):
            yield AttributeUse("audience", audience.name, audience.id)


def _sends_with(key: str, choice: str) -> Iterator[AttributeUse]:
    """Those that have still to fill in the version they began with, or to find their recipients."""
    for send in [*sends_to_approve(), *active_sends()]:
        is_use = _names_attribute(send.version, key, choice) or audience_names(send.audience, key, choice)
        if is_use and send.state in (SendState.AWAITING_APPROVAL, *FANNING_OUT_STATES):
            yield AttributeUse("send", str(send.id), send.id)


def _schedules_with(key: str, choice: str) -> Iterator[AttributeUse]:
    """Those that have not ended, and run on the dates of the attribute or ask for it in a condition."""
    for schedule in schedules_in_state(ScheduleState.ACTIVE, ScheduleState.PAUSED):
        runs_on_dates = not choice and schedule.is_relative and schedule.relative_timing.attribute == key
        if runs_on_dates or audience_names(schedule.audience, key, choice):
            yield AttributeUse("schedule", schedule.name, schedule.id)


def audience_names(audience: Mapping[str, Any], key: str, choice: str) -> bool:
    """Whether a condition of a stored audience is about the attribute and, unless it is empty, names the choice."""
    for condition in audience.get("conditions", ()):
        value = condition.get("value")
        texts = value if isinstance(value, list) else [value]
        if condition.get("field") == f"attribute.{key}" and (
            not choice or fold_case(choice) in [fold_case(str(text)) for text in texts]
        ):
            return True
    return False


def _names_attribute(version: TemplateVersion | SavedDraft, key: str, choice: str) -> bool:
    """A choice is named where the template quotes it."""
    if key not in attribute_fields(version):
        return False
    source = "\n".join(text for words in version.all_words for text in (words.subject, words.body)).casefold()
    return not choice or any(f"{quote}{choice.casefold()}{quote}" in source for quote in "\"'")


_FINDERS: tuple[Callable[[str, str], Iterator[AttributeUse]], ...] = (
    _templates_with,
    _drafts_with,
    _audiences_with,
    _sends_with,
    _schedules_with,
)

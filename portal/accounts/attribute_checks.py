"""Whether an attribute may be declared or changed as wanted: what else is declared, and what names it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from portal.accounts.rules.attribute_values import AttributeDefinition, AttributeKind, key_problem
from portal.accounts.tables.attributes import Attribute, count_choice, count_values
from portal.core.errors import ActionRefused
from portal.core.rules.case_folding import fold_case
from portal.core.translation import N_, join_words, ngettext
from portal.core.translation import gettext as _

_MAX_LABEL_LENGTH, _MAX_CHOICES, _MAX_CHOICE_LENGTH = 60, 100, 100
_MAX_USES_NAMED = 5
_USES = {
    "template": N_("template “%(name)s”"),
    "draft": N_("the draft of template “%(name)s”"),
    "send": N_("send %(name)s"),
    "audience": N_("audience “%(name)s”"),
    "schedule": N_("schedule “%(name)s”"),
}


@dataclass(frozen=True)
class AttributeUse:
    """Something that names an attribute: its kind (a key of `_USES`), its name for people, and its id."""

    kind: str
    name: str
    target_id: int

    @property
    def description(self) -> str:
        return _(_USES[self.kind], name=self.name)


FindUses = Callable[[str, str], Sequence[AttributeUse]]
"""What names the attribute with a key and, unless it is empty, one of its choices."""


class AttributeInUse(ActionRefused):
    def __init__(self, label: str, uses: Sequence[AttributeUse]) -> None:
        super().__init__(
            _("“%(label)s” is in use: %(uses)s. Remove it there first.", label=label, uses=describe_uses(uses))
        )
        self.uses = uses


def describe_uses(uses: Sequence[AttributeUse], accounts: int = 0) -> str:
    """The first uses by name, and `accounts` that have a value."""
    places = [ngettext("%(num)s account", "%(num)s accounts", accounts)] if accounts else []
    places += [use.description for use in uses[:_MAX_USES_NAMED]]
    more = len(uses) - _MAX_USES_NAMED
    return join_words([*places, ngettext("%(num)s more", "%(num)s more", more)] if more > 0 else places)


def definition_errors(draft: AttributeDefinition, others: Sequence[Attribute]) -> dict[str, str]:
    """By field."""
    is_key_taken = draft.key in [attribute.key for attribute in others]
    problems = {
        "key": key_problem(draft.key) or (key_taken_message(draft.key) if is_key_taken else None),
        "label": _label_problem(draft.label, others),
        "kind": None if draft.kind in list(AttributeKind) else _("Choose what kind of values it has."),
        "choices": _choices_problem(draft.choices) if draft.kind == AttributeKind.CHOICE else None,
    }
    return {field: problem for field, problem in problems.items() if problem}


def key_taken_message(key: str) -> str:
    return _("Another attribute already has the key “%(key)s”. Choose a different one.", key=key)


def _label_problem(label: str, others: Sequence[Attribute]) -> str | None:
    if not label:
        return _("Enter a label.")
    if len(label) > _MAX_LABEL_LENGTH:
        message = _("Use %(limit)s characters or fewer. You have used %(length)s.")
        return _(message, limit=_MAX_LABEL_LENGTH, length=len(label))
    if fold_case(label) in [fold_case(attribute.label) for attribute in others]:
        return _("Another attribute already has this label.")
    return None


def _choices_problem(choices: Sequence[str]) -> str | None:
    if not choices:
        return _("Enter at least one choice.")
    if len(choices) > _MAX_CHOICES:
        return _("Enter %(limit)s choices at most.", limit=_MAX_CHOICES)
    too_long = next((choice for choice in choices if len(choice) > _MAX_CHOICE_LENGTH), None)
    if too_long is None:
        return None
    return _("Shorten “%(choice)s…” to %(limit)s characters.", choice=too_long[:20], limit=_MAX_CHOICE_LENGTH)


def use_errors(
    attribute_id: int, before: AttributeDefinition, changed: AttributeDefinition, find_uses: FindUses
) -> dict[str, str]:
    """A key or choice that something names stays, and so does the kind of values that exist."""
    errors = {}
    uses = find_uses(before.key, "") if (before.key, before.kind) != (changed.key, changed.kind) else ()
    if uses and before.key != changed.key:
        message = N_("“%(key)s” is named in %(uses)s, so the key cannot change. Change those first.")
        errors["key"] = _(message, key=before.key, uses=describe_uses(uses))
    if before.kind == changed.kind:
        choice_problems = _choice_problems(attribute_id, before, changed, find_uses)
        return errors | ({"choices": " ".join(problems)} if (problems := list(choice_problems)) else {})
    if accounts := count_values().get(attribute_id):
        errors["kind"] = ngettext(
            "%(num)s account has a value, so the kind cannot change.",
            "%(num)s accounts have a value, so the kind cannot change.",
            accounts,
        )
    elif uses:
        errors["kind"] = _("It is named in %(uses)s, so the kind cannot change.", uses=describe_uses(uses))
    return errors


def _choice_problems(
    attribute_id: int, before: AttributeDefinition, changed: AttributeDefinition, find_uses: FindUses
) -> Iterator[str]:
    kept = {fold_case(choice) for choice in changed.choices}
    for choice in before.choices:
        if fold_case(choice) in kept:
            continue
        if uses := describe_uses(find_uses(before.key, choice), count_choice(attribute_id, choice)):
            message = N_("“%(choice)s” is in use, so it cannot go: %(uses)s. Keep it, or change those first.")
            yield _(message, choice=choice, uses=uses)

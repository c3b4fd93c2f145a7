"""Saved audiences: create, change and archive them."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.exc import IntegrityError

from portal.core.audit_log import record_audit_entry
from portal.core.errors import ActionRefused, InvalidInput
from portal.core.rules import text_input
from portal.core.rules.case_folding import fold_case
from portal.core.transaction import transaction
from portal.core.translation import gettext as _
from portal.core.translation import join_words
from portal.sends.audience_resolution import audience_problem, resolve_audience
from portal.sends.tables.saved_audiences import SavedAudience

_MAX_NAME_LENGTH = 120


class AudienceChanged(ActionRefused):
    """Somebody else changed the saved audience after this edit began."""

    def __init__(self) -> None:
        super().__init__(
            _(
                "Somebody changed this audience while you were editing. Your changes are still here: compare them with "
                "what is saved, then save again."
            )
        )


def create_saved_audience(name: str, definition: Mapping[str, Any], author_id: int | None, now_ms: int) -> int:
    """Its id. Raises `InvalidInput` for `name` or `audience`."""
    columns = _checked_columns(name, definition, author_id, now_ms)
    try:
        with transaction() as session:
            audience = SavedAudience(**columns, created_at_ms=now_ms)
            session.add(audience)
            session.flush()
            _record("audience_created", audience, author_id, now_ms)
            return audience.id
    except IntegrityError as error:
        raise _name_taken(name) from error


def change_saved_audience(
    audience_id: int, name: str, definition: Mapping[str, Any], base_version: int, author_id: int | None, now_ms: int
) -> None:
    """Raises `InvalidInput`, and `AudienceChanged` if `base_version` is no longer current."""
    columns = _checked_columns(name, definition, author_id, now_ms)
    try:
        with transaction() as session:
            audience = session.get(SavedAudience, audience_id, with_for_update=True)
            if audience is None or audience.archived_at_ms is not None:
                raise ActionRefused(_("This audience is archived. Saving makes a new one."))
            if audience.version != base_version:
                raise AudienceChanged
            for column, value in columns.items():
                setattr(audience, column, value)
            audience.version += 1
            _record("audience_changed", audience, author_id, now_ms)
            session.flush()
    except IntegrityError as error:
        raise _name_taken(name) from error


def archive_saved_audience(audience_id: int, uses: Sequence[str], author_id: int | None, now_ms: int) -> None:
    """Sends keep their people. Refused while `uses` names what would go on asking for it, such as a schedule."""
    if uses:
        message = _("This audience is in use: %(uses)s. Choose another audience there first.", uses=join_words(uses))
        raise ActionRefused(message)
    with transaction() as session:
        audience = session.get(SavedAudience, audience_id, with_for_update=True)
        if audience is not None and audience.archived_at_ms is None:
            audience.archived_at_ms = now_ms
            _record("audience_archived", audience, author_id, now_ms)


def _checked_columns(name: str, definition: Mapping[str, Any], author_id: int | None, now_ms: int) -> dict[str, Any]:
    name, resolved = text_input.clean_line(name), resolve_audience(definition, now_ms)
    errors = {"name": _name_problem(name), "audience": audience_problem(definition, now_ms)}
    if "saved_audience" in definition:
        errors["audience"] = _("A saved audience cannot be made of another one.")
    if problems := {field: problem for field, problem in errors.items() if problem}:
        raise InvalidInput(problems)
    return {
        "name": name,
        "name_folded": fold_case(name),
        "definition": {key: value for key, value in resolved.items() if key != "as_of"},
        "changed_at_ms": now_ms,
        "changed_by_id": author_id,
    }


def _name_problem(name: str) -> str | None:
    if not name:
        return _("Enter a name.")
    if len(name) > _MAX_NAME_LENGTH:
        return _("The name can have at most %(limit)s characters.", limit=_MAX_NAME_LENGTH)
    return None


def _name_taken(name: str) -> InvalidInput:
    message = _("Another audience is already called “%(name)s”. Choose a different name.", name=name)
    return InvalidInput({"name": message})


def _record(action: str, audience: SavedAudience, author_id: int | None, now_ms: int) -> None:
    record_audit_entry(action, f"audience {audience.name}", author_id, now_ms, audience_id=audience.id)

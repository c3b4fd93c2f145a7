"""Archive a template: its versions and sends stay, and new sends no longer offer it."""

from portal.content.tables.templates import Template
from portal.core.audit_log import record_audit_entry
from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.core.transaction import transaction
from portal.core.translation import gettext as _
from portal.core.translation import join_words
from portal.operations.template_uses import template_uses


def archive_template(template_id: int, actor_id: int | None, now_ms: int) -> None:
    """Raises `ActionRefused` while something still uses the template."""
    with transaction():
        template = _lock_template(template_id)
        if labels := [use.label for use in template_uses(template_id) if use.is_active]:
            problem = _("The template is not archived, because it is still used by %(uses)s.", uses=join_words(labels))
            raise ActionRefused(problem)
        if template.archived_at_ms is None:
            template.archived_at_ms = now_ms
            _record("template_archived", template, actor_id, now_ms)


def unarchive_template(template_id: int, actor_id: int | None, now_ms: int) -> None:
    with transaction():
        template = _lock_template(template_id)
        if template.archived_at_ms is not None:
            template.archived_at_ms = None
            _record("template_unarchived", template, actor_id, now_ms)


def _lock_template(template_id: int) -> Template:
    template = db.session.get(Template, template_id, with_for_update=True)
    if template is None:
        raise ActionRefused(_("This template does not exist."))
    return template


def _record(action: str, template: Template, actor_id: int | None, now_ms: int) -> None:
    record_audit_entry(action, f"template {template.key}", actor_id, now_ms, template_id=template.id)

"""Administration → automations → templates: list, create, edit, publish, archive."""

from flask import flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user

from portal.content import message_templates
from portal.content.message_templates import DraftConflict, TemplateDraft, VersionConflict, copy_of
from portal.content.tables.saved_drafts import templates_with_draft
from portal.content.tables.templates import BY_NAME, Template, current_template_versions
from portal.core.clock import now_ms
from portal.core.errors import ActionRefused, InvalidInput
from portal.core.extensions import db
from portal.core.translation import N_
from portal.core.translation import gettext as _
from portal.operations import template_archive
from portal.operations.template_uses import affected_uses
from portal.web.access import allow
from portal.web.admin.template_editor.editor_page import conflict_page, editor_page, pages, saved, template_or_404
from portal.web.admin.template_editor.template_filter import requested_filter
from portal.web.admin.template_form import TemplateForm
from portal.web.paging import Sort, requested_order
from portal.web.request_input import is_htmx_request, query_id

_SORTS = (Sort("name", N_("Name"), BY_NAME, is_reversible=False), Sort("key", N_("Key"), (Template.key, Template.id)))


@pages.get("")
@allow("admin")
def listing() -> ResponseReturnValue:
    order = requested_order(*_SORTS)
    versions = current_template_versions(order.sort.columns, order.descending)
    template_filter = requested_filter()
    rows = template_filter.matches(versions)
    page = render_template(
        "admin/templates/_list.html" if is_htmx_request() else "admin/templates/index.html",
        versions=rows,
        has_templates=bool(versions),
        filter=template_filter,
        pills=template_filter.pills(versions),
        with_draft=templates_with_draft([row.template_id for row in rows]),
        order=order,
    )
    return page, {"Vary": "HX-Request"}


@pages.get("/new")
@allow("admin")
def new() -> ResponseReturnValue:
    """Empty, or as a copy of the template `copy`."""
    original = db.session.get(Template, query_id("copy") or 0)
    return editor_page(None, TemplateForm.with_draft(copy_of(original)) if original else TemplateForm())


@pages.post("/new")
@allow("admin")
def create() -> ResponseReturnValue:
    form = TemplateForm()
    try:
        template_id = message_templates.create_template(form.draft(None), current_user.id, now_ms())
    except InvalidInput as error:
        return editor_page(None, form.with_errors(error))
    return saved(template_id, _("The template is saved."))


@pages.get("/<id:template_id>")
@allow("admin")
def edit(template_id: int) -> ResponseReturnValue:
    template = template_or_404(template_id)
    form = TemplateForm.of(template)
    form.recipient.data = query_id("recipient")
    return editor_page(template, form)


@pages.post("/<id:template_id>")
@allow("admin")
def save(template_id: int) -> ResponseReturnValue:
    """Publish. If a field goes that something provides, ask first."""
    template, form = template_or_404(template_id), TemplateForm()
    draft = form.draft(template)
    affected = affected_uses(template, draft)
    if affected and form.confirmed_fields.data != " ".join(affected):
        return editor_page(template, form, affected=affected)
    try:
        number = _publish(template_id, form, draft)
    except InvalidInput as error:
        return editor_page(template_or_404(template_id), form.with_errors(error))
    except (VersionConflict, DraftConflict) as conflict:
        return conflict_page(template_id, form, conflict)
    return saved(template_id, _("Version %(number)s is saved. New sends use it.", number=number))


def _publish(template_id: int, form: TemplateForm, draft: TemplateDraft) -> int:
    """A request without `draft_saved_ms` leaves the draft as it is."""
    saved_ms = form.draft_saved_ms.data if form.draft_saved_ms.data >= 0 else None
    return message_templates.save_template(
        template_id, draft, current_user.id, now_ms(), form.base_version.data, draft_saved_ms=saved_ms
    )


@pages.post("/<id:template_id>/archive")
@allow("admin")
def archive(template_id: int) -> ResponseReturnValue:
    template_or_404(template_id)
    try:
        template_archive.archive_template(template_id, current_user.id, now_ms())
    except ActionRefused as error:
        flash(error.message, "error")
        return redirect(url_for(".edit", template_id=template_id), 303)
    return saved(template_id, _("The template is archived. New sends no longer offer it."))


@pages.post("/<id:template_id>/unarchive")
@allow("admin")
def unarchive(template_id: int) -> ResponseReturnValue:
    template_or_404(template_id)
    template_archive.unarchive_template(template_id, current_user.id, now_ms())
    return saved(template_id, _("The template is back in the list of templates to send."))

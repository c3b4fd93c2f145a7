"""Administration → automations → templates: edit with a preview, and show older versions."""

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user

from portal.content import message_templates
from portal.content.message_templates import VersionConflict, draft_of, edit_conflict_message
from portal.content.rules.merge_comparison import COMPARISON_HELP
from portal.content.rules.merge_filters import FILTER_HELP
from portal.content.rules.text_diff import diff_words
from portal.content.tables.templates import BY_NAME, Template, TemplateVersion, current_template_versions
from portal.core.clock import now_ms
from portal.core.errors import InvalidInput
from portal.core.extensions import db
from portal.core.translation import N_
from portal.core.translation import gettext as _
from portal.web.access import allow
from portal.web.admin.merge_field_list import list_merge_fields
from portal.web.admin.template_form import TemplateForm
from portal.web.paging import Sort, requested_order
from portal.web.request_input import is_htmx_request

pages = Blueprint("admin_templates", __name__, url_prefix="/Admin/Automations/Templates")
_SORTS = (Sort("name", N_("Name"), BY_NAME, is_reversible=False), Sort("key", N_("Key"), (Template.key, Template.id)))


@pages.get("")
@allow("admin")
def listing() -> str:
    order = requested_order(*_SORTS)
    versions = current_template_versions(order.sort.columns, order.descending)
    return render_template("admin/templates/index.html", versions=versions, order=order)


@pages.get("/new")
@allow("admin")
def new() -> ResponseReturnValue:
    return _editor(None, TemplateForm())


@pages.post("/new")
@allow("admin")
def create() -> ResponseReturnValue:
    form = TemplateForm()
    try:
        template_id = message_templates.create_template(form.draft(None), current_user.id, now_ms())
    except InvalidInput as error:
        return _editor(None, form.with_errors(error))
    return _saved(template_id, _("The template is saved."))


@pages.get("/<id:template_id>")
@allow("admin")
def edit(template_id: int) -> ResponseReturnValue:
    template = _template(template_id)
    return _editor(template, TemplateForm.of(template))


@pages.post("/<id:template_id>")
@allow("admin")
def save(template_id: int) -> ResponseReturnValue:
    template = _template(template_id)
    form, base_version = TemplateForm(), template.current_version
    if form.base_version.data != base_version:
        return _conflict_page(template, form)
    draft = form.draft(template)
    try:
        number = message_templates.save_template(template_id, draft, current_user.id, now_ms(), base_version)
    except InvalidInput as error:
        return _editor(_template(template_id), form.with_errors(error))
    except VersionConflict:
        return _conflict_page(_template(template_id), form)
    return _saved(template_id, _("Version %(number)s is saved. New sends use it.", number=number))


@pages.post("/preview")
@allow("admin")
def preview() -> ResponseReturnValue:
    """htmx gets only the preview; without JavaScript the whole editor is rendered."""
    form = TemplateForm()
    template = db.session.get(Template, form.template_id.data or 0)
    if is_htmx_request():
        preview = message_templates.preview_template(form.draft(template))
        return render_template("admin/templates/_preview.html", form=form, preview=preview)
    return _editor(template, form)


@pages.get("/<id:template_id>/versions/<id:number>")
@allow("admin")
def version(template_id: int, number: int) -> str:
    return _version_page(_version(template_id, number))


@pages.post("/<id:template_id>/versions/<id:number>/restore")
@allow("admin")
def restore(template_id: int, number: int) -> ResponseReturnValue:
    """Save an old version as the newest."""
    old, form = _version(template_id, number), TemplateForm()
    try:
        saved = message_templates.save_template(
            template_id, draft_of(old), current_user.id, now_ms(), form.base_version.data, number
        )
    except InvalidInput as error:
        problem = _("This version can no longer be used: %(problem)s", problem=next(iter(error.errors.values())))
        return _version_page(old, problem), 422
    except VersionConflict:
        return _version_page(old, _("Somebody saved another version meanwhile. Check what is in use now.")), 422
    message = _("Version %(number)s is restored as version %(saved)s. New sends use it.", number=number, saved=saved)
    return _saved(template_id, message)


def _template(template_id: int) -> Template:
    return db.session.get(Template, template_id) or abort(404)


def _version(template_id: int, number: int) -> TemplateVersion:
    versions = _template(template_id).versions
    return next((version for version in versions if version.number == number), None) or abort(404)


def _version_page(version: TemplateVersion, problem: str = "") -> str:
    template = version.template
    in_use = next(row for row in template.versions if row.number == template.current_version)
    return render_template(
        "admin/templates/version.html",
        template=template,
        version=version,
        preview=message_templates.preview_template(draft_of(version)),
        problem=problem,
        changes=diff_words(f"{in_use.subject}\n\n{in_use.body}", f"{version.subject}\n\n{version.body}"),
        can_restore=draft_of(version) != draft_of(in_use),
    )


def _editor(template: Template | None, form: TemplateForm) -> ResponseReturnValue:
    preview = message_templates.preview_template(form.draft(template))
    page = render_template(
        "admin/templates/editor.html",
        template=template,
        form=form,
        preview=preview,
        merge_fields=list_merge_fields(preview.data_fields),
        filters=FILTER_HELP,
        comparisons=COMPARISON_HELP,
    )
    return page, 422 if form.errors else 200


def _conflict_page(template: Template, form: TemplateForm) -> ResponseReturnValue:
    conflict = InvalidInput({"base_version": edit_conflict_message(template.current_version)})
    return _editor(template, form.with_errors(conflict))


def _saved(template_id: int, message: str) -> ResponseReturnValue:
    flash(message, "info")
    return redirect(url_for("admin_templates.edit", template_id=template_id), 303)

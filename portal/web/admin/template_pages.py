"""Administration → automations → templates: edit with a preview, and show older versions."""

from dataclasses import replace

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user

from portal.content import message_templates
from portal.content.message_templates import TemplateDraft, VersionConflict, draft_of, edit_conflict_message
from portal.content.rules.merge_comparison import COMPARISON_HELP
from portal.content.rules.merge_fields import ACCOUNT_FIELDS
from portal.content.rules.merge_filters import FILTER_HELP
from portal.content.tables.templates import Template, current_template_versions, find_template_version
from portal.core.clock import now_ms
from portal.core.errors import InvalidInput
from portal.core.extensions import db
from portal.web.access import allow
from portal.web.layout import is_sms_visible
from portal.web.request_input import form_text, is_checked, is_htmx_request, parse_id

pages = Blueprint("admin_templates", __name__, url_prefix="/Admin/Automations/Templates")
_EMPTY = TemplateDraft(key="", name="", subject="", body="")


@pages.get("")
@allow("admin")
def listing() -> str:
    return render_template("admin/templates/index.html", versions=current_template_versions())


@pages.get("/new")
@allow("admin")
def new() -> ResponseReturnValue:
    return _editor(None, _EMPTY, {})


@pages.post("/new")
@allow("admin")
def create() -> ResponseReturnValue:
    draft = _draft(None)
    try:
        template_id = message_templates.create_template(draft, current_user.id, now_ms())
    except InvalidInput as error:
        return _editor(None, draft, error.errors)
    return _saved(template_id, "The template is saved.")


@pages.get("/<id:template_id>")
@allow("admin")
def edit(template_id: int) -> ResponseReturnValue:
    template = _template(template_id)
    return _editor(template, draft_of(find_template_version(template)), {})


@pages.post("/<id:template_id>")
@allow("admin")
def save(template_id: int) -> ResponseReturnValue:
    template = _template(template_id)
    draft, base_version = _draft(template), form_text("base_version")
    if base_version != str(template.current_version):
        return _conflict_page(template, draft)
    try:
        number = message_templates.save_template(template_id, draft, current_user.id, now_ms(), parse_id(base_version))
    except InvalidInput as error:
        return _editor(_template(template_id), draft, error.errors)
    except VersionConflict:
        return _conflict_page(_template(template_id), draft)
    return _saved(template_id, f"Version {number:,} is saved. New sends use it.")


@pages.post("/preview")
@allow("admin")
def preview() -> ResponseReturnValue:
    """htmx gets only the preview; without JavaScript the whole editor is rendered."""
    template = db.session.get(Template, parse_id(form_text("template_id")) or 0)
    draft = _draft(template)
    if is_htmx_request():
        return render_template("admin/templates/_preview.html", preview=message_templates.preview_template(draft))
    return _editor(template, draft, {}, 200)


@pages.get("/<id:template_id>/versions/<id:number>")
@allow("admin")
def version(template_id: int, number: int) -> str:
    template = _template(template_id)
    version = next((version for version in template.versions if version.number == number), None) or abort(404)
    rendered = message_templates.preview_template(draft_of(version))
    return render_template("admin/templates/version.html", template=template, version=version, preview=rendered)


def _template(template_id: int) -> Template:
    return db.session.get(Template, template_id) or abort(404)


def _draft(template: Template | None) -> TemplateDraft:
    """The submitted form. While texts are hidden, the settings for texts do not change."""
    draft = TemplateDraft(
        key=template.key if template else form_text("key"),
        name=form_text("name"),
        subject=form_text("subject"),
        body=form_text("body"),
        urgent=form_text("priority") == "urgent",
        sms_enabled=is_checked("sms_enabled"),
        sms_expiry_hours=form_text("sms_expiry_hours"),
    )
    if is_sms_visible():
        return draft
    current = draft_of(find_template_version(template)) if template else _EMPTY
    return replace(draft, sms_enabled=current.sms_enabled, sms_expiry_hours=current.sms_expiry_hours)


def _editor(
    template: Template | None, draft: TemplateDraft, errors: dict[str, str], status: int | None = None
) -> ResponseReturnValue:
    page = render_template(
        "admin/templates/editor.html",
        template=template,
        draft=draft,
        errors=errors,
        preview=message_templates.preview_template(draft),
        merge_fields=ACCOUNT_FIELDS,
        filters=FILTER_HELP,
        comparisons=COMPARISON_HELP,
    )
    return page, status or (422 if errors else 200)


def _conflict_page(template: Template, draft: TemplateDraft) -> ResponseReturnValue:
    return _editor(template, draft, {"base_version": edit_conflict_message(template.current_version)})


def _saved(template_id: int, message: str) -> ResponseReturnValue:
    flash(message, "info")
    return redirect(url_for("admin_templates.edit", template_id=template_id), 303)

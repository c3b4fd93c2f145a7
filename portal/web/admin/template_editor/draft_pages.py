"""Save a draft, discard it, and send it to oneself."""

import hashlib

from flask import flash, redirect, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user

from portal.content import template_drafts
from portal.content.message_templates import DraftConflict, TemplateDraft
from portal.content.template_words import FURTHER_LANGUAGES, OWN_LANGUAGE
from portal.core.clock import now_ms
from portal.core.errors import InvalidInput
from portal.core.translation import gettext as _
from portal.sends.authoring.draft_sending import SentDraft, send_draft
from portal.web.access import allow
from portal.web.admin.template_editor.editor_page import conflict_page, editor_page, pages, saved, template_or_404
from portal.web.admin.template_form import TemplateForm
from portal.web.layout import is_sms_visible


@pages.post("/<id:template_id>/draft")
@allow("admin")
def save_draft(template_id: int) -> ResponseReturnValue:
    form = TemplateForm()
    try:
        _save(template_id, form)
    except InvalidInput as error:
        return editor_page(template_or_404(template_id), form.with_errors(error))
    except DraftConflict as conflict:
        return conflict_page(template_id, form, conflict)
    return saved(template_id, _("The draft is saved. Sends use the published version until you publish it."))


@pages.post("/<id:template_id>/draft/discard")
@allow("admin")
def discard_draft(template_id: int) -> ResponseReturnValue:
    template_or_404(template_id)
    form = TemplateForm()
    try:
        template_drafts.discard_draft(template_id, current_user.id, now_ms(), form.draft_saved_ms.data)
    except DraftConflict:
        flash(_("Somebody changed the draft in the meantime, so it is not discarded. Read it first."), "error")
        return redirect(url_for("admin_templates.edit", template_id=template_id), 303)
    return saved(template_id, _("The draft is discarded. You see the published version."))


@pages.post("/<id:template_id>/draft/send")
@allow("admin")
def send_draft_to_author(template_id: int) -> ResponseReturnValue:
    """Save the draft, so that nothing typed is lost, then send it to whoever is signed in, in the `step` language."""
    form, template = TemplateForm(), template_or_404(template_id)
    draft = form.draft(template)
    try:
        _save(template_id, form)
        language = form.step.data if form.step.data in FURTHER_LANGUAGES else OWN_LANGUAGE
        key = f"{_request_key(form, draft)}:{language}"
        sent = send_draft(draft, current_user.id, now_ms(), key, language)
    except InvalidInput as error:
        return editor_page(template_or_404(template_id), form.with_errors(error))
    except DraftConflict as conflict:
        return conflict_page(template_id, form, conflict)
    return saved(template_id, _describe(sent))


def _save(template_id: int, form: TemplateForm) -> None:
    draft, began_with = form.draft(template_or_404(template_id)), (form.base_version.data, form.draft_saved_ms.data)
    template_drafts.save_draft(template_id, draft, current_user.id, now_ms(), *began_with)


def _request_key(form: TemplateForm, draft: TemplateDraft) -> str:
    """Equal for equal content of one page, so that a double click sends one test."""
    return f"draft:{current_user.id}:{form.form_id.data}:{hashlib.sha256(repr(draft).encode()).hexdigest()}"


def _describe(sent: SentDraft) -> str:
    if sent.routing.will_send:
        return _("The draft is saved, and on its way to you by email and by text.")
    if is_sms_visible() and sent.routing.reason:
        reason = _(sent.routing.reason.label)
        return _("The draft is saved, and on its way to you by email. No text: %(reason)s.", reason=reason)
    return _("The draft is saved, and on its way to you by email.")

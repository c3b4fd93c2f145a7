"""The preview while somebody types: what a person gets by email and by text."""

from dataclasses import replace
from itertools import chain

from flask import Response, make_response, render_template
from flask.typing import ResponseReturnValue

from portal.accounts.account_language import recipient_language
from portal.accounts.tables.accounts import Recipient
from portal.content.email_rendering import email_look
from portal.content.message_templates import TemplatePreview, sample_link
from portal.content.rules.analysis.typography import straighten_quotes
from portal.content.template_drafts import latest_content
from portal.content.template_words import FURTHER_LANGUAGES
from portal.core.translation import use_language
from portal.sends.authoring.template_preview import preview_for
from portal.sends.tables.past_recipients import find_recipient
from portal.web.access import allow
from portal.web.admin.template_editor.editor_page import (
    build_preview,
    editor_page,
    pages,
    submitted_template,
    template_or_404,
)
from portal.web.admin.template_form import TemplateForm
from portal.web.organisation_files import page_organisation
from portal.web.request_input import is_htmx_request, query_id
from portal.web.security_headers import EMAIL_PREVIEW_POLICY


@pages.post("/preview")
@allow("admin")
def preview() -> ResponseReturnValue:
    """htmx gets only the preview; without JavaScript the whole editor is rendered."""
    form = TemplateForm()
    template = submitted_template(form)
    if is_htmx_request():
        return render_template("admin/templates/_preview.html", form=form, preview=build_preview(form, template))
    if form.step.data == "straighten":
        for field in (form.subject, form.body, *chain.from_iterable(map(form.variant_fields, FURTHER_LANGUAGES))):
            field.data = straighten_quotes(field.data)
    for language in FURTHER_LANGUAGES:
        if form.step.data == f"remove-{language}":
            form.remove_variant(language)
    return editor_page(template, form, is_unsaved=True)


@pages.post("/preview/email")
@allow("admin")
def typed_email() -> Response:
    """The email as it is typed, for the frame of the editor."""
    form = TemplateForm()
    draft = form.draft(submitted_template(form))
    recipient = find_recipient(form.recipient.data) if form.recipient.data else None
    preview = preview_for(draft, recipient, "" if recipient else form.language.data)
    if form.email_view.data == "text":
        return _framed("email/plain_text.html", preview, recipient, body_text=preview.text)
    return _framed("email/notification.html", preview, recipient, body_html=preview.html)


@pages.get("/<id:template_id>/email")
@allow("admin")
def email(template_id: int) -> Response:
    """The email of the draft, or of the current version."""
    recipient_id = query_id("recipient")
    draft, recipient = latest_content(template_or_404(template_id)), find_recipient(recipient_id or 0)
    preview = preview_for(draft, recipient)
    return _framed("email/notification.html", preview, recipient, body_html=preview.html)


def _framed(template: str, preview: TemplatePreview, recipient: Recipient | None, **body: str) -> Response:
    """In the language of its reader, with a content security policy that allows only its styles."""
    language = recipient_language(recipient.language if recipient else preview.language)
    with use_language(language):
        html = render_template(
            template,
            **body,
            subject=preview.subject,
            body_language=preview.language,
            portal_link=sample_link(),
            organisation=page_organisation().name,
            look=email_look(replace(page_organisation(), logo=None)),  # the policy of the frame forbids images
        )
    page = make_response(html)
    page.headers["Content-Security-Policy"] = EMAIL_PREVIEW_POLICY
    return page

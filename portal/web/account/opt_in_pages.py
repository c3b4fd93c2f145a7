"""Enable texts at a phone number: the prompt as a page or a dialog, and the status that follows.

Used for people's own numbers, and by administrators on the Account Profile.
"""

from dataclasses import dataclass, replace

from flask import abort, flash, make_response, redirect, render_template
from flask.typing import ResponseReturnValue

from portal.accounts.tables.phone_numbers import PhoneNumber, is_stopped
from portal.consent import account_phones, invitations
from portal.content.content_blocks import RenderedBlock
from portal.core.clock import now_ms
from portal.core.errors import ActionRefused
from portal.core.translation import gettext as _
from portal.web.account import phone_number_form
from portal.web.account.phone_number_form import InvitationForm, NumberContext, display_phone
from portal.web.layout import is_sms_visible
from portal.web.request_input import is_htmx_request, parse_id, query_text


@dataclass(frozen=True)
class InvitationPrompt:
    """What is shown before an invitation is sent.

    `wording` is the text to agree to, or None if texts cannot be requested; then `error` says why, and `retry_at_ms`
    until when. `is_stopped`: the number replied STOP, so the request is only recorded; `is_recorded` once that is done.
    `displaced_account` would lose the texts; it is "" if its name is private.
    """

    number_id: int
    number: str
    label: str
    wording: RenderedBlock | None
    error: str = ""
    retry_at_ms: int | None = None
    is_stopped: bool = False
    is_recorded: bool = False
    displaced_account: str | None = None


def render_number(number_context: NumberContext, number_id: int) -> ResponseReturnValue:
    """A page, or for htmx the status fragment: 204 if it is still the one that the client has seen."""
    if is_htmx_request():
        return _render_poll(number_context, number_id, query_text("seen"), parse_id(query_text("until")))
    row = phone_number_form.find_row(number_context, number_id)
    if row is None:
        abort(404)
    help_text = phone_number_form.stop_help_text(number_context)
    page = render_template("numbers/one.html", number_context=number_context, row=row, stop_help_text=help_text)
    return page, {"Vary": "HX-Request"}


def render_prompt_page(number_context: NumberContext, number_id: int) -> ResponseReturnValue:
    phone = _phone_or_404(number_context, number_id)
    prompt = _prompt_base(number_context, phone)
    if problem := invitations.request_ineligibility(phone):
        prompt = replace(prompt, error=problem)
    elif hit := invitations.rate_limit_hit(phone, number_context.actor, now_ms()):
        prompt = replace(prompt, error=hit.message, retry_at_ms=hit.retry_at_ms)
    else:
        prompt = replace(prompt, wording=invitations.opt_in_prompt(phone.number))
    return _render_prompt(number_context, prompt, 200)


def invite(number_context: NumberContext, number_id: int) -> ResponseReturnValue:
    """Record the request and send the invitation, or show the prompt again with the reason why not."""
    phone = _phone_or_404(number_context, number_id)
    prompt = _prompt_base(number_context, phone)
    try:
        invitations.invite(number_id, number_context.actor, InvitationForm().wording.data, now_ms())
    except invitations.WordingChanged as error:
        prompt = replace(prompt, wording=invitations.opt_in_prompt(phone.number), error=error.message)
    except invitations.RequestRecorded as error:
        prompt = replace(prompt, error=error.message, is_recorded=True)
    except invitations.RateLimited as error:
        prompt = replace(prompt, error=error.message, retry_at_ms=error.retry_at_ms)
    except ActionRefused as error:
        prompt = replace(prompt, error=error.message)
    else:
        return _render_invited(number_context, number_id, prompt.number)
    return _render_prompt(number_context, prompt, 422)


def confirm_reachable(number_context: NumberContext, number_id: int) -> ResponseReturnValue:
    """Somebody confirms that a number marked as unreachable is correct."""
    _phone_or_404(number_context, number_id)
    row = phone_number_form.find_row(number_context, number_id)
    if row is not None and row.status is not None and row.status.action == "confirm":
        account_phones.confirm_number(number_id, number_context.account.id, number_context.actor, now_ms())
    flash(_("Thank you. This number is marked as correct."), "info")
    return redirect(number_context.list_url, 303)


def _phone_or_404(number_context: NumberContext, number_id: int) -> PhoneNumber:
    """Nobody has this page while texts are off (docs/consent-rules.md#feature-switch)."""
    phone = phone_number_form.find_phone(number_context, number_id)
    return (phone if is_sms_visible() else None) or abort(404)


def _prompt_base(number_context: NumberContext, phone: PhoneNumber) -> InvitationPrompt:
    return InvitationPrompt(
        phone.id,
        phone.number,
        phone.label,
        wording=None,
        is_stopped=is_stopped(phone.number),
        displaced_account=invitations.displaced_account_of(phone, viewer_is_admin=not number_context.is_own),
    )


def _render_prompt(number_context: NumberContext, prompt: InvitationPrompt, status: int) -> ResponseReturnValue:
    template = "numbers/_dialog.html" if is_htmx_request() else "numbers/enable_texts.html"
    row = phone_number_form.find_row(number_context, prompt.number_id) if prompt.is_recorded else None
    response = make_response(render_template(template, number_context=number_context, prompt=prompt, row=row), status)
    response.headers["Vary"] = "HX-Request"
    if is_htmx_request():
        response.headers |= {"HX-Retarget": "#dialog", "HX-Reswap": "innerHTML"}
    return response


def _render_invited(number_context: NumberContext, number_id: int, number: str) -> ResponseReturnValue:
    if is_htmx_request():
        return _render_status(number_context, number_id)
    message = _(
        "The invitation is on its way to %(number)s. Texts begin once that phone replies START.",
        number=display_phone(number),
    )
    flash(message, "info")
    return redirect(number_context.list_url, 303)


def _render_poll(number_context: NumberContext, number_id: int, seen: str, until_ms: int | None) -> ResponseReturnValue:
    """Compare the stored state first: an open page asks every few seconds, and mostly nothing has changed."""
    if until_ms is not None and now_ms() > until_ms:
        return _render_status(number_context, number_id, polls=False)
    phone = phone_number_form.find_phone(number_context, number_id)
    if phone is not None and phone_number_form.live_fingerprint(phone) == seen:
        return "", 204
    return _render_status(number_context, number_id, seen)


def _render_status(
    number_context: NumberContext, number_id: int, seen: str = "", polls: bool = True
) -> ResponseReturnValue:
    """A removed number gives the same fragment for everybody, which also ends the polling."""
    row = phone_number_form.find_row(number_context, number_id)
    if row is None:
        return render_template("numbers/_gone.html", number_id=number_id), 404
    if row.fingerprint == seen:
        return "", 204
    page = render_template("numbers/_state.html", number_context=number_context, row=row, has_stopped_polling=not polls)
    return page, {"Vary": "HX-Request"}

"""Administration → Consent → a phone number: its status, its history, and manual changes."""

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user
from wtforms import HiddenField, RadioField, TextAreaField

from portal.accounts.account_permissions import require_permission
from portal.accounts.tables.phone_numbers import is_stopped
from portal.consent import manual_consent
from portal.consent.manual_consent import MAX_REASON_LENGTH, OptOut
from portal.consent.number_overview import (
    NumberAccount,
    NumberOverview,
    load_number_overview,
    number_history,
    opt_out_effects,
)
from portal.consent.rules.consent_labels import OPT_OUT_CHANNELS
from portal.core.clock import now_ms
from portal.core.context import settings
from portal.core.errors import ActionRefused, InvalidInput
from portal.core.rules import text_input
from portal.core.rules.phone import is_e164, parse_search_phone
from portal.core.translation import gettext as _
from portal.core.translation import lazy_gettext
from portal.web.access import allow
from portal.web.base_form import PhoneForm, words
from portal.web.current_actor import current_actor
from portal.web.request_input import query_text
from portal.web.template_filters import display_phone

pages = Blueprint("admin_numbers", __name__, url_prefix="/Admin/Consent")


class OptOutForm(PhoneForm):
    """`confirmed` is the number that the confirmation page showed."""

    channel = RadioField(
        lazy_gettext("How did the person ask?"),
        choices=words({channel: lazy_gettext(label) for channel, label in OPT_OUT_CHANNELS.items()}),
        validate_choice=False,
    )
    reason = TextAreaField(
        lazy_gettext("What was said or written, by whom and when"), render_kw={"maxlength": MAX_REASON_LENGTH}
    )
    confirmed = HiddenField(filters=[text_input.clean_code])


@pages.get("/Numbers/<number>")
@allow("admin")
def show_overview(number: str) -> str:
    overview = _overview_or_404(number)
    return render_template("admin/consent/number.html", overview=overview, history=number_history(number))


@pages.get("/OptOut")
@allow("admin")
def opt_out_form() -> ResponseReturnValue:
    return _render_opt_out_form(OptOutForm(number=query_text("number")))


@pages.post("/OptOut")
@allow("admin")
def opt_out() -> ResponseReturnValue:
    """The first POST shows whose number it is and what ends; the second, which confirms that number, opts it out."""
    form, actor = OptOutForm(), current_actor()
    confirmed = form.confirmed_phone.data or form.confirmed.data
    try:
        valid = manual_consent.check_opt_out(form.number.data, form.channel.data, form.reason.data, confirmed)
        number = valid.number
        if form.confirmed.data != number:
            return _render_opt_out_confirmation(valid)
        manual_consent.opt_out(number, valid.channel, valid.reason, actor, now_ms(), number)
    except InvalidInput as error:
        return _render_opt_out_form(form.with_errors(error))
    flash(_("%(phone)s is opted out and gets no more texts.", phone=display_phone(number)), "info")
    return redirect(url_for("admin_numbers.show_overview", number=number), 303)


@pages.get("/Numbers/<number>/Move/<id:account_id>")
@allow("admin")
def confirm_move(number: str, account_id: int) -> ResponseReturnValue:
    return _render_move(number, account_id)


@pages.post("/Numbers/<number>/Move/<id:account_id>")
@allow("admin")
def move(number: str, account_id: int) -> ResponseReturnValue:
    account = _holder_or_404(_overview_or_404(number), account_id).account
    values = {"name": account.name, "account": account.external_id, "phone": display_phone(number)}
    try:
        manual_consent.move_texts(number, account_id, current_actor(), now_ms())
    except ActionRefused as error:
        return _render_move(number, account_id, error.message)
    flash(_("%(name)s, %(account)s, gets the texts for %(phone)s from now on.", **values), "info")
    return redirect(url_for("admin_numbers.show_overview", number=number), 303)


def _overview_or_404(number: str) -> NumberOverview:
    return load_number_overview(number, now_ms()) if is_e164(number) else abort(404)


def _holder_or_404(overview: NumberOverview, account_id: int) -> NumberAccount:
    return next((holder for holder in overview.accounts if holder.account.id == account_id), None) or abort(404)


def _render_move(number: str, account_id: int, problem: str = "") -> ResponseReturnValue:
    overview = _overview_or_404(number)
    to = _holder_or_404(overview, account_id)
    others = [holder for holder in overview.accounts if holder is not to]
    current = next((holder for holder in others if holder.receiving_since_ms is not None), None)
    require_permission(current_user.id, to.account, *([current.account] if current else []))
    page = render_template("admin/consent/move.html", overview=overview, to=to, current=current, problem=problem)
    return page, 422 if problem else 200


def _render_opt_out_confirmation(opt_out: OptOut) -> str:
    overview = load_number_overview(opt_out.number, now_ms())
    return render_template(
        "admin/consent/opt_out_confirm.html",
        opt_out=opt_out,
        overview=overview,
        effects=opt_out_effects(overview),
        channel=_(OPT_OUT_CHANNELS[opt_out.channel]),
    )


def _render_opt_out_form(form: OptOutForm) -> ResponseReturnValue:
    is_number_stopped = is_stopped(parse_search_phone(form.number.data, settings().region))
    page = render_template("admin/consent/opt_out.html", form=form, is_stopped=is_number_stopped)
    return page, 422 if form.errors else 200

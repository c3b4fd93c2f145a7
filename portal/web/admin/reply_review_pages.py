"""Administration → Replies: texts from phones that an administrator must read or answer, and past decisions."""

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user
from wtforms import HiddenField

from portal.accounts.tables.accounts import administrators
from portal.consent import reply_work
from portal.consent.manual_consent import decide_reply
from portal.consent.number_overview import opt_out_effects
from portal.consent.reply_answers import MAX_ANSWER_LENGTH, answer_reply, answer_text, clean_answer, plan_answer
from portal.consent.rules.keywords import ReplyCategory
from portal.consent.tables import inbound_messages
from portal.consent.tables.inbound_messages import InboundMessage
from portal.core.clock import now_ms
from portal.core.errors import ActionRefused, InvalidInput
from portal.core.extensions import db
from portal.core.rules.routing import Mode
from portal.core.translation import N_
from portal.core.translation import gettext as _
from portal.messages.rules.message_modes import describe_text_route
from portal.messages.rules.sms_segments import measure_sms
from portal.web.access import allow
from portal.web.admin.reply_reviews import ReplyForm, ReplyReview, build_reviews
from portal.web.base_form import PortalForm
from portal.web.current_actor import current_actor
from portal.web.paging import paginate
from portal.web.request_input import is_htmx_request, parse_id, query_id, query_text

pages = Blueprint("admin_replies", __name__, url_prefix="/Admin/Consent/Replies")
_PAGE_SIZE = 20
_ASSIGNED_CHOICES = {"me": N_("Me"), "nobody": N_("Nobody")}
_DECISION_MESSAGES = {
    "stop": N_("The number is opted out."),
    "moved": N_("The account gets the texts from now on."),
    "nothing": N_("The reply is closed without action."),
}


class ReplyDecisionForm(PortalForm):
    """`account_id` gets the texts if they are moved."""

    decision = HiddenField()
    account_id = HiddenField(filters=[parse_id])


@pages.get("")
@allow("admin")
def listing() -> ResponseReturnValue:
    decided, assigned, before = query_text("show") == "decided", query_text("assigned"), query_id("before")
    assigned_to_id = {"me": current_user.id, "nobody": 0}.get(assigned)
    rows = inbound_messages.replies_page(decided, before, _PAGE_SIZE + 1, assigned_to_id)
    page = paginate(rows, _PAGE_SIZE, before)
    filters = {"show": "decided" if decided else "", "assigned": assigned if assigned in _ASSIGNED_CHOICES else ""}
    choices = {choice: _(label) for choice, label in _ASSIGNED_CHOICES.items()}
    template = "admin/replies/_list.html" if is_htmx_request() else "admin/replies/index.html"
    html = render_template(
        template, page=page, replies=build_reviews(page.rows), filters=filters, assigned_choices=choices
    )
    return html, {"Vary": "HX-Request"}


@pages.get("/<id:message_id>")
@allow("admin")
def show(message_id: int) -> ResponseReturnValue:
    return _page(message_id, ReplyForm(formdata=None))


@pages.post("/<id:message_id>/Answer")
@allow("admin")
def answer(message_id: int) -> ResponseReturnValue:
    form = ReplyForm()
    try:
        answer_reply(message_id, form.draft, current_actor(), now_ms())
    except InvalidInput as error:
        return _page(message_id, form.with_errors(error))
    except ActionRefused as error:
        return _page(message_id, form, error.message)
    flash(_("The answer is on its way."), "info")
    return redirect(url_for("admin_replies.show", message_id=message_id), 303)


@pages.post("/<id:message_id>/Answer/Preview")
@allow("admin")
def preview(message_id: int) -> ResponseReturnValue:
    """htmx gets only the text and its size; without JavaScript the whole page is rendered."""
    form = ReplyForm()
    if is_htmx_request():
        return render_template("admin/replies/_answer_preview.html", **_preview_context(form))
    return _page(message_id, form)


@pages.post("/<id:message_id>/Assign")
@allow("admin")
def assign(message_id: int) -> ResponseReturnValue:
    form = ReplyForm()
    to_id = current_user.id if form.take.data else parse_id(form.assignee.data)
    try:
        reply_work.assign_reply(message_id, to_id, form.seen.data, current_user.id, now_ms())
    except InvalidInput as error:
        return _page(message_id, form.with_errors(error))
    except ActionRefused as error:
        return _card(message_id, error.message) if form.in_list.data else _page(message_id, form, error.message)
    if form.in_list.data:
        return _card(message_id, message=_("The reply is assigned to you."))
    return _keeping_input(message_id, form, _("The assignment is saved."))


@pages.post("/<id:message_id>/Notes")
@allow("admin")
def add_note(message_id: int) -> ResponseReturnValue:
    form = ReplyForm()
    try:
        reply_work.add_note(message_id, form.note.data, current_user.id, now_ms())
    except InvalidInput as error:
        return _page(message_id, form.with_errors(error))
    except ActionRefused as error:
        return _page(message_id, form, error.message)
    form.note.data = ""
    return _keeping_input(message_id, form, _("The note is saved."))


@pages.get("/<id:message_id>/OptOut")
@allow("admin")
def confirm_opt_out(message_id: int) -> str:
    """Show whose number it is and what ends, before the reply counts as an opt-out."""
    reply = _review_or_404(message_id)
    if reply.overview is None or reply.message.decision or reply.message.classification == ReplyCategory.START:
        abort(404)
    effects = opt_out_effects(reply.overview)
    return render_template("admin/replies/opt_out.html", reply=reply, overview=reply.overview, effects=effects)


@pages.post("/<id:message_id>")
@allow("admin")
def decide(message_id: int) -> ResponseReturnValue:
    """htmx gets the reply back with the decision and who made it."""
    form = ReplyDecisionForm()
    try:
        decide_reply(message_id, form.decision.data, current_actor(), now_ms(), form.account_id.data)
    except ActionRefused as error:
        return _card(message_id, error.message)
    return _card(message_id, message=_(_DECISION_MESSAGES[form.decision.data]))


def _card(message_id: int, problem: str = "", message: str = "") -> ResponseReturnValue:
    if is_htmx_request():
        reply = _review_or_404(message_id)
        return render_template("admin/replies/_changed.html", reply=reply, problem=problem, swapped=True, in_list=True)
    flash(problem or message, "error" if problem else "info")
    return redirect(url_for("admin_replies.listing"), 303)


def _keeping_input(message_id: int, form: ReplyForm, message: str) -> ResponseReturnValue:
    """Redirect, unless that would lose what is typed in another field."""
    flash(message, "info")
    if form.body.data or form.note.data:
        return _page(message_id, form)
    return redirect(url_for("admin_replies.show", message_id=message_id), 303)


def _page(message_id: int, form: ReplyForm, problem: str = "") -> ResponseReturnValue:
    """The page of one reply with what was typed, whatever happened to the reply meanwhile."""
    reply = _review_or_404(message_id)
    plan = plan_answer(reply.message, current_user.id, now_ms()) if reply.can_be_answered else None
    if plan is not None:
        form.offer_accounts(plan)
    names = {str(account.id): account.name for account in administrators()}
    form.assignee.choices = {"": _("Nobody"), **names}
    page = render_template(
        "admin/replies/one.html",
        reply=reply,
        form=form,
        plan=plan,
        problem=problem,
        mode_effect=describe_text_route(plan.mode) if plan and plan.mode != Mode.LIVE else "",
        **_preview_context(form),
    )
    return page, 422 if problem or form.errors else 200


def _preview_context(form: ReplyForm) -> dict[str, object]:
    text = form.body.data or ""
    return {
        "answer_text": answer_text(text),
        "answer_size": measure_sms(answer_text(text)),
        "excess": len(clean_answer(text)) - MAX_ANSWER_LENGTH,
    }


def _review_or_404(message_id: int) -> ReplyReview:
    message = db.session.get(InboundMessage, message_id, populate_existing=True)
    return build_reviews([message])[0] if message and message.needs_review else abort(404)

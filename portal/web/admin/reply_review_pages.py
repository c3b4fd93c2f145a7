"""Administration → Consent → Replies: texts from phones that an administrator must read, and past decisions."""

from collections.abc import Sequence
from dataclasses import dataclass

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from wtforms import HiddenField

from portal.accounts.tables.accounts import Account
from portal.consent.manual_consent import decide_reply, is_unassigned_start
from portal.consent.number_overview import NumberOverview, load_number_overview, opt_out_effects
from portal.consent.rules.consent_labels import DECISION_LABELS
from portal.consent.rules.keywords import ReplyCategory
from portal.consent.tables import inbound_messages, ledger_search
from portal.consent.tables.inbound_messages import InboundMessage
from portal.core.clock import now_ms
from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.core.rules.phone import is_e164
from portal.web.access import allow
from portal.web.base_form import PortalForm
from portal.web.current_actor import current_actor
from portal.web.paging import paginate
from portal.web.request_input import is_htmx_request, parse_id, query_id, query_text

pages = Blueprint("admin_replies", __name__, url_prefix="/Admin/Consent/Replies")
_PAGE_SIZE = 20


class ReplyDecisionForm(PortalForm):
    """`account_id` gets the texts if they are moved."""

    decision = HiddenField()
    account_id = HiddenField(filters=[parse_id])


@dataclass(frozen=True)
class ReplyReview:
    """A text and the decisions it allows. `overview` is None if it did not come from a phone number.

    `is_unassigned_start` is true for a START that still waits for an account.
    """

    message: InboundMessage
    overview: NumberOverview | None
    is_unassigned_start: bool
    decided_by: Account | None
    decision: str


@pages.get("")
@allow("admin")
def listing() -> str:
    decided, before = query_text("show") == "decided", query_id("before")
    page = paginate(inbound_messages.replies_page(decided, before, _PAGE_SIZE + 1), _PAGE_SIZE, before)
    return render_template("admin/consent/replies.html", page=page, replies=_reviews(page.rows), decided=decided)


@pages.get("/<id:message_id>/OptOut")
@allow("admin")
def confirm_opt_out(message_id: int) -> str:
    """Show whose number it is and what ends, before the reply counts as an opt-out."""
    reply = _review_or_404(message_id)
    if reply.overview is None or reply.message.decision or reply.message.classification == ReplyCategory.START:
        abort(404)
    effects = opt_out_effects(reply.overview)
    return render_template("admin/consent/reply_opt_out.html", reply=reply, overview=reply.overview, effects=effects)


@pages.post("/<id:message_id>")
@allow("admin")
def decide(message_id: int) -> ResponseReturnValue:
    """htmx gets the reply back with the decision and who made it."""
    form = ReplyDecisionForm()
    try:
        decide_reply(message_id, form.decision.data, current_actor(), now_ms(), form.account_id.data)
        problem = ""
    except ActionRefused as error:
        problem = error.message
    if is_htmx_request():
        reply = _review_or_404(message_id)
        return render_template("admin/consent/_decided.html", reply=reply, problem=problem, swapped=True)
    flash(problem or f"Decided: {DECISION_LABELS[form.decision.data].lower()}.", "error" if problem else "info")
    return redirect(url_for("admin_replies.listing"), 303)


def _review_or_404(message_id: int) -> ReplyReview:
    message = db.session.get(InboundMessage, message_id)
    return _reviews([message])[0] if message and message.needs_review else abort(404)


def _reviews(messages: Sequence[InboundMessage]) -> list[ReplyReview]:
    accounts = ledger_search.accounts_by_id({message.decided_by_id for message in messages if message.decided_by_id})
    return [_review(message, accounts.get(message.decided_by_id or 0)) for message in messages]


def _review(message: InboundMessage, decided_by: Account | None) -> ReplyReview:
    overview = load_number_overview(message.from_number, now_ms()) if is_e164(message.from_number) else None
    is_unassigned = overview is not None and is_unassigned_start(message, overview.consent_state)
    decision = DECISION_LABELS.get(message.decision, message.decision)
    return ReplyReview(message, overview, is_unassigned, decided_by, decision)

"""Administration → consent → replies: texts from phones that a person has to read, and what was decided."""

from collections.abc import Sequence
from dataclasses import dataclass

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from portal.actions.consent_by_hand import answers_start, decide_reply
from portal.actions.errors import Refused
from portal.actions.number_board import Board, board, what_ends
from portal.clock import now_ms
from portal.domain.consent_words import DECISIONS
from portal.domain.phone import is_e164
from portal.extensions import db
from portal.models import consent_search, inbound
from portal.models.account import Account
from portal.models.inbound import InboundMessage
from portal.web.access import allow
from portal.web.asking import asker
from portal.web.paging import page_of
from portal.web.parsing import as_id, by_htmx, query_id, query_words, typed

pages = Blueprint("admin_replies", __name__, url_prefix="/Admin/Consent/Replies")
_PAGE = 20


@dataclass(frozen=True)
class Reply:
    """A text and what can be done about it. `board` is None where it did not come from a phone number.

    `wants_texts` is true for a START that still waits for an account.
    """

    message: InboundMessage
    board: Board | None
    wants_texts: bool
    decided_by: Account | None
    decision: str


@pages.get("")
@allow("admin")
def listing() -> str:
    decided, before = query_words("show") == "decided", query_id("before")
    find = consent_search.decided_replies if decided else inbound.open_replies
    page = page_of(find(before, _PAGE + 1), _PAGE, before)
    return render_template("admin/consent/replies.html", page=page, replies=_replies(page.rows), decided=decided)


@pages.get("/<id:message_id>/OptOut")
@allow("admin")
def confirm_opt_out(message_id: int) -> str:
    """Whose number it is and what ends, before it is decided that the reply is an opt-out."""
    reply = _reply(message_id)
    if reply.board is None or reply.message.decision or reply.message.reading == "start":
        abort(404)
    ends = what_ends(reply.board)
    return render_template("admin/consent/reply_opt_out.html", reply=reply, board=reply.board, ends=ends)


@pages.post("/<id:message_id>")
@allow("admin")
def decide(message_id: int) -> ResponseReturnValue:
    """htmx gets the reply back with who decided what."""
    try:
        decide_reply(message_id, typed("decision"), asker(), now_ms(), as_id(typed("account_id")))
        problem = ""
    except Refused as error:
        problem = error.sentence
    if by_htmx():
        return render_template("admin/consent/_decided.html", reply=_reply(message_id), problem=problem, swapped=True)
    flash(problem or f"Decided: {DECISIONS[typed('decision')].lower()}.", "error" if problem else "info")
    return redirect(url_for("admin_replies.listing"), 303)


def _reply(message_id: int) -> Reply:
    message = db.session.get(InboundMessage, message_id)
    return _replies([message])[0] if message and message.asks else abort(404)


def _replies(messages: Sequence[InboundMessage]) -> list[Reply]:
    people = consent_search.accounts({message.decided_by_id for message in messages if message.decided_by_id})
    found = []
    for message in messages:
        at = board(message.sender, now_ms()) if is_e164(message.sender) else None
        wants = at is not None and answers_start(message, at.standing)
        decided_by = people.get(message.decided_by_id or 0)
        found.append(Reply(message, at, wants, decided_by, DECISIONS.get(message.decision, message.decision)))
    return found

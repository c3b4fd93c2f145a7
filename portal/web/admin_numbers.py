"""Administration → consent → a number: how it stands, its story, and what can be done by hand."""

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from portal.actions import consent_by_hand
from portal.actions.consent_by_hand import OptOut
from portal.actions.errors import Invalid, Refused
from portal.actions.number_board import Board, Carrier, board, story, what_ends
from portal.clock import now_ms
from portal.context import settings
from portal.domain.consent_words import HOWS
from portal.domain.phone import example, is_e164, looked_for
from portal.models.phone import is_stopped
from portal.web.access import allow
from portal.web.asking import asker
from portal.web.display import friendly_phone
from portal.web.parsing import query_words, typed, typed_code, unsure_number

pages = Blueprint("admin_numbers", __name__, url_prefix="/Admin/Consent")
_FIELDS = ("number", "how", "reason")


@pages.get("/Numbers/<number>")
@allow("admin")
def one(number: str) -> str:
    found = _board(number)
    return render_template("admin/consent/number.html", board=found, story=story(number))


@pages.get("/OptOut")
@allow("admin")
def opt_out_form() -> ResponseReturnValue:
    return _form({"number": query_words("number"), "how": "", "reason": ""}, {})


@pages.post("/OptOut")
@allow("admin")
def opt_out() -> ResponseReturnValue:
    """First whose number it is and what ends, then, for that very number, the opt-out."""
    values = {name: typed(name) for name in _FIELDS}
    try:
        sure = typed_code("confirmed_number") or typed_code("confirmed")
        found = consent_by_hand.check_opt_out(values["number"], values["how"], values["reason"], sure)
        if typed_code("confirmed") != found.number:
            return _opt_out_question(found)
        number = consent_by_hand.opt_out(found.number, found.how, found.reason, asker(), now_ms(), found.number)
    except Invalid as error:
        return _form(values, error.errors, unsure_number(error))
    flash(f"{friendly_phone(number)} is opted out. Nothing is texted there any more.", "info")
    return redirect(url_for("admin_numbers.one", number=number), 303)


@pages.get("/Numbers/<number>/Move/<id:account_id>")
@allow("admin")
def confirm_move(number: str, account_id: int) -> ResponseReturnValue:
    return _confirmation(number, account_id)


@pages.post("/Numbers/<number>/Move/<id:account_id>")
@allow("admin")
def move(number: str, account_id: int) -> ResponseReturnValue:
    to = _carrier(_board(number), account_id).account
    name = f"{to.name}, {to.external_id},"
    try:
        consent_by_hand.move_texts(number, account_id, asker(), now_ms())
    except Refused as error:
        return _confirmation(number, account_id, error.sentence)
    flash(f"{name} gets the texts for {friendly_phone(number)} from now on.", "info")
    return redirect(url_for("admin_numbers.one", number=number), 303)


def _board(number: str) -> Board:
    return board(number, now_ms()) if is_e164(number) else abort(404)


def _carrier(found: Board, account_id: int) -> Carrier:
    return next((one for one in found.carriers if one.account.id == account_id), None) or abort(404)


def _confirmation(number: str, account_id: int, problem: str = "") -> ResponseReturnValue:
    found = _board(number)
    to = _carrier(found, account_id)
    loses = next((one for one in found.carriers if one.since_ms is not None and one is not to), None)
    page = render_template("admin/consent/move.html", board=found, to=to, loses=loses, problem=problem)
    return page, 422 if problem else 200


def _opt_out_question(found: OptOut) -> str:
    at = board(found.number, now_ms())
    how = HOWS[found.how]
    return render_template("admin/consent/opt_out_confirm.html", found=found, board=at, ends=what_ends(at), how=how)


def _form(values: dict[str, str], errors: dict[str, str], unsure: str = "") -> ResponseReturnValue:
    page = render_template(
        "admin/consent/opt_out.html",
        values=values,
        errors=errors,
        unsure=unsure,
        hows=HOWS,
        example=example(settings().region),
        stopped=is_stopped(looked_for(values["number"], settings().region)),
        longest=consent_by_hand.LONGEST_REASON,
    )
    return page, 422 if errors else 200

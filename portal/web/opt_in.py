"""Asking for texts at a number: the prompt as a plain page or in a dialog, and how the number stands since.

The same for one's own numbers and for an administrator who acts on the Account Profile.
"""

from dataclasses import dataclass, replace

from flask import abort, flash, make_response, redirect, render_template
from flask.typing import ResponseReturnValue

from portal.actions import invitations, phones
from portal.actions.asker import Asker
from portal.actions.content import Wording
from portal.actions.errors import Refused
from portal.actions.invitations import NOBODY, MovesFrom, TooMany, WishKept, WordingChanged
from portal.clock import now_ms
from portal.models.phone import PhoneNumber, is_stopped, numbers_of
from portal.web import numbers_form
from portal.web.asking import asker
from portal.web.layout import sms_shown
from portal.web.numbers_form import Area, as_read
from portal.web.parsing import by_htmx, query_words, typed

_READ_NOTHING = -1


@dataclass(frozen=True)
class Asking:
    """What is shown before an invitation leaves: `words` are agreed to, or None while nothing can be asked.

    `problem` says why, or why it has to be asked again; `until_ms` until when. `stopped` where no invitation can be
    texted and only the wish for one is kept, `kept` when that is done. `moves` tells whose texts would end.
    """

    number_id: int
    number: str
    label: str
    words: Wording | None
    problem: str = ""
    until_ms: int | None = None
    stopped: bool = False
    kept: bool = False
    moves: MovesFrom = NOBODY


def show(area: Area, number_id: int) -> ResponseReturnValue:
    """One number: its state for htmx, nothing while that is as it was seen, a page for a browser."""
    row = numbers_form.one(area, number_id)
    if by_htmx():
        return _state(area, number_id, query_words("seen"))
    if row is None:
        abort(404)
    page = render_template("numbers/one.html", area=area, row=row, information=numbers_form.information(area))
    return page, {"Vary": "HX-Request"}


def ask(area: Area, number_id: int) -> ResponseReturnValue:
    phone = _phone(area, number_id)
    return _question(area, _asking(area, phone), 200)


def invite(area: Area, number_id: int) -> ResponseReturnValue:
    """Ledger and invitation, or the question again with what keeps it back."""
    phone = _phone(area, number_id)
    number, again = phone.number, _question_about(area, phone)
    try:
        invitations.invite(number_id, _asker(area), _version_read(), now_ms())
    except WordingChanged as error:
        again = replace(again, words=invitations.prompt(number), problem=error.sentence)
    except WishKept as error:
        again = replace(again, problem=error.sentence, kept=True)
    except TooMany as error:
        again = replace(again, problem=error.sentence, until_ms=error.until_ms)
    except Refused as error:
        again = replace(again, problem=error.sentence)
    else:
        return _invited(area, number_id, number)
    return _question(area, again, 422)


def confirm(area: Area, number_id: int) -> ResponseReturnValue:
    """A number that could not be reached is right, says whoever it is on."""
    _phone(area, number_id)
    row = numbers_form.one(area, number_id)
    if row is not None and row.state is not None and row.state.action == "confirm":
        phones.confirm_number(number_id, area.account.id, _asker(area), now_ms())
    flash("Thank you: the number counts as right again.", "info")
    return redirect(area.home_url, 303)


def _phone(area: Area, number_id: int) -> PhoneNumber:
    """While texts are off there is no such page, for anybody (docs/consent-rules.md#feature-switch)."""
    found = next((phone for phone in numbers_of(area.account.id) if phone.id == number_id), None)
    return (found if sms_shown() else None) or abort(404)


def _asking(area: Area, phone: PhoneNumber) -> Asking:
    about = _question_about(area, phone)
    refusal = invitations.why_not_ask(phone)
    if refusal is not None:
        return replace(about, problem=refusal)
    limit = invitations.limit_reached(phone, _asker(area), now_ms())
    if limit is not None:
        return replace(about, problem=limit.limit.words, until_ms=limit.until_ms)
    return replace(about, words=invitations.prompt(phone.number))


def _question_about(area: Area, phone: PhoneNumber) -> Asking:
    moves = invitations.from_whom(phone, to_admin=not area.own)
    return Asking(phone.id, phone.number, phone.label, None, stopped=is_stopped(phone.number), moves=moves)


def _asker(area: Area) -> Asker:
    return asker(by_admin=area.for_other)


def _version_read() -> int:
    found = typed("version")
    return int(found) if found.isascii() and found.isdecimal() and len(found) < 10 else _READ_NOTHING


def _question(area: Area, asking: Asking, status: int) -> ResponseReturnValue:
    template = "numbers/_dialog.html" if by_htmx() else "numbers/enable_texts.html"
    row = numbers_form.one(area, asking.number_id) if asking.kept else None
    answer = make_response(render_template(template, area=area, asking=asking, row=row), status)
    answer.headers["Vary"] = "HX-Request"
    if by_htmx():
        answer.headers |= {"HX-Retarget": "#dialog", "HX-Reswap": "innerHTML"}
    return answer


def _invited(area: Area, number_id: int, number: str) -> ResponseReturnValue:
    if by_htmx():
        return _state(area, number_id)
    flash(f"The invitation is on its way to {as_read(number)}. Texts begin when START comes from that phone.", "info")
    return redirect(area.home_url, 303)


def _state(area: Area, number_id: int, seen: str = "") -> ResponseReturnValue:
    """Of a number that is gone, the same words for everybody; they end the looking."""
    row = numbers_form.one(area, number_id)
    if row is None:
        return render_template("numbers/_gone.html", number_id=number_id), 404
    if row.seen == seen:
        return "", 204
    return render_template("numbers/_state.html", area=area, row=row), {"Vary": "HX-Request"}

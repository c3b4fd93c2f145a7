"""Administration → accounts: find one, and the Account Profile."""

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from portal.extensions import db
from portal.models import history
from portal.models.account import Account, account_types
from portal.models.phone import numbers_of
from portal.models.search import count_of, search
from portal.web import numbers_form, opt_in
from portal.web.access import allow
from portal.web.delivery_words import CHANNELS, Status, status_of, statuses
from portal.web.layout import sms_shown
from portal.web.numbers_form import Area, NumbersForm
from portal.web.parsing import by_htmx, query_id, query_words

pages = Blueprint("admin_accounts", __name__, url_prefix="/Admin/Accounts")
_PAGE = 50
_LAST_PAGE = 10_000
_RECENT = 8


@pages.get("")
@allow("admin")
def listing() -> ResponseReturnValue:
    """Type to search: htmx asks for the same address and gets only the list."""
    words, account_type = query_words("q"), query_words("type")
    number = min(query_id("page") or 1, _LAST_PAGE)
    query = search(words, account_type)
    total = count_of(query)
    rows = db.session.scalars(query.limit(_PAGE).offset((number - 1) * _PAGE)).all()
    template = "admin/accounts/_list.html" if by_htmx() else "admin/accounts/index.html"
    page = render_template(
        template,
        accounts=rows,
        total=total,
        number=number,
        more=number * _PAGE < total,
        words=words,
        account_type=account_type,
        account_types=account_types(),
    )
    return page, {"Vary": "HX-Request"}


@pages.get("/<id:account_id>")
@allow("admin")
def profile(account_id: int) -> ResponseReturnValue:
    return _profile(numbers_form.shown(_area(account_id)))


@pages.post("/<id:account_id>/numbers")
@allow("admin")
def add_number(account_id: int) -> ResponseReturnValue:
    refused = numbers_form.add(_area(account_id))
    return _profile(refused) if refused else _back(account_id, numbers_form.added(_area(account_id)))


@pages.get("/<id:account_id>/numbers/<id:number_id>")
@allow("admin")
def show_number(account_id: int, number_id: int) -> ResponseReturnValue:
    return opt_in.show(_area(account_id), number_id)


@pages.post("/<id:account_id>/numbers/<id:number_id>/label")
@allow("admin")
def relabel_number(account_id: int, number_id: int) -> ResponseReturnValue:
    refused = numbers_form.relabel(_area(account_id), _number(account_id, number_id))
    return _profile(refused) if refused else _back(account_id, "The label is saved.")


@pages.get("/<id:account_id>/numbers/<id:number_id>/remove")
@allow("admin")
def confirm_removal(account_id: int, number_id: int) -> str:
    area = _area(account_id)
    removal = numbers_form.removal(area, number_id) or abort(404)
    return render_template("numbers/remove.html", area=area, removal=removal)


@pages.post("/<id:account_id>/numbers/<id:number_id>/remove")
@allow("admin")
def remove_number(account_id: int, number_id: int) -> ResponseReturnValue:
    numbers_form.remove(_area(account_id), _number(account_id, number_id))
    return _back(account_id, "The number is removed from the account.")


@pages.post("/<id:account_id>/numbers/<id:number_id>/confirm")
@allow("admin")
def confirm_number(account_id: int, number_id: int) -> ResponseReturnValue:
    return opt_in.confirm(_area(account_id), number_id)


@pages.get("/<id:account_id>/numbers/<id:number_id>/EnableTexts")
@allow("admin")
def enable_texts(account_id: int, number_id: int) -> ResponseReturnValue:
    return opt_in.ask(_area(account_id), number_id)


@pages.post("/<id:account_id>/numbers/<id:number_id>/EnableTexts")
@allow("admin")
def invite_number(account_id: int, number_id: int) -> ResponseReturnValue:
    return opt_in.invite(_area(account_id), number_id)


def _area(account_id: int) -> Area:
    account = db.session.get(Account, account_id) or abort(404)
    return Area("admin_accounts", "profile", account)


def _number(account_id: int, number_id: int) -> int:
    if number_id not in [number.id for number in numbers_of(account_id)]:
        abort(404)
    return number_id


def _profile(form: NumbersForm) -> ResponseReturnValue:
    account = form.area.account
    found = history.own_page(account.id, None, _RECENT, sms_shown())
    recent = [(item, {status.channel: status for status in statuses(item)}) for item in found]
    channels = {channel: name for channel, name in CHANNELS.items() if channel == "email" or sms_shown()}
    page = render_template(
        "admin/accounts/profile.html",
        account=account,
        form=form,
        recent=recent,
        channels=channels,
        returned=_returned_mail(account),
    )
    return page, 422 if form.in_error else 200


def _returned_mail(account: Account) -> Status | None:
    """The last email to the account's address, if it was not taken."""
    found = history.last_mail(account.id, account.email)
    return status_of(found) if found is not None and found.state != "mailed" else None


def _back(account_id: int, done: str) -> ResponseReturnValue:
    flash(done, "info")
    return redirect(url_for("admin_accounts.profile", account_id=account_id), 303)

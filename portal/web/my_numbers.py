"""My account → phone numbers."""

from flask import Blueprint, abort, flash, redirect, render_template
from flask.typing import ResponseReturnValue
from flask_security import current_user

from portal.models.phone import numbers_of
from portal.web import numbers_form, opt_in
from portal.web.access import allow
from portal.web.numbers_form import Area, NumbersForm

pages = Blueprint("my_numbers", __name__, url_prefix="/MyAccount/PhoneNumbers")


@pages.get("")
@allow("user")
def listing() -> ResponseReturnValue:
    return _page(numbers_form.shown(_mine()))


@pages.post("")
@allow("user")
def add_number() -> ResponseReturnValue:
    refused = numbers_form.add(_mine())
    return _page(refused) if refused else _back(numbers_form.added(_mine()))


@pages.get("/<id:number_id>")
@allow("user")
def show_number(number_id: int) -> ResponseReturnValue:
    return opt_in.show(_mine(), number_id)


@pages.post("/<id:number_id>/label")
@allow("user")
def relabel_number(number_id: int) -> ResponseReturnValue:
    refused = numbers_form.relabel(_mine(), _own(number_id))
    return _page(refused) if refused else _back("The label is saved.")


@pages.get("/<id:number_id>/remove")
@allow("user")
def confirm_removal(number_id: int) -> str:
    removal = numbers_form.removal(_mine(), number_id) or abort(404)
    return render_template("numbers/remove.html", area=_mine(), removal=removal)


@pages.post("/<id:number_id>/remove")
@allow("user")
def remove_number(number_id: int) -> ResponseReturnValue:
    numbers_form.remove(_mine(), _own(number_id))
    return _back("The number is removed from your account.")


@pages.post("/<id:number_id>/confirm")
@allow("user")
def confirm_number(number_id: int) -> ResponseReturnValue:
    return opt_in.confirm(_mine(), number_id)


@pages.get("/<id:number_id>/EnableTexts")
@allow("user")
def enable_texts(number_id: int) -> ResponseReturnValue:
    return opt_in.ask(_mine(), number_id)


@pages.post("/<id:number_id>/EnableTexts")
@allow("user")
def invite_number(number_id: int) -> ResponseReturnValue:
    return opt_in.invite(_mine(), number_id)


def _mine() -> Area:
    return Area("my_numbers", "listing", current_user, own=True)


def _own(number_id: int) -> int:
    """A number of somebody else's account is as unknown as one that never was."""
    if number_id not in [number.id for number in numbers_of(current_user.id)]:
        abort(404)
    return number_id


def _page(form: NumbersForm) -> ResponseReturnValue:
    return render_template("my_account/phone_numbers.html", form=form), 422 if form.in_error else 200


def _back(done: str) -> ResponseReturnValue:
    flash(done, "info")
    return redirect(_mine().home_url, 303)

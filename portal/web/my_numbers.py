"""My account → phone numbers."""

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user

from portal.models.phone import numbers_of
from portal.web import numbers_form
from portal.web.access import allow
from portal.web.numbers_form import NumbersForm

pages = Blueprint("my_numbers", __name__, url_prefix="/MyAccount/PhoneNumbers")


@pages.get("")
@allow("user")
def listing() -> ResponseReturnValue:
    return _page(numbers_form.shown(current_user.id))


@pages.post("")
@allow("user")
def add() -> ResponseReturnValue:
    refused = numbers_form.add(current_user.id)
    return _page(refused) if refused else _back("The number is on your account.")


@pages.post("/<id:number_id>/label")
@allow("user")
def relabel(number_id: int) -> ResponseReturnValue:
    refused = numbers_form.relabel(current_user.id, _own(number_id))
    return _page(refused) if refused else _back("The label is saved.")


@pages.post("/<id:number_id>/remove")
@allow("user")
def remove(number_id: int) -> ResponseReturnValue:
    numbers_form.remove(current_user.id, _own(number_id))
    return _back("The number is removed from your account.")


def _own(number_id: int) -> int:
    """A number of somebody else's account is as unknown as one that never was."""
    if number_id not in [number.id for number in numbers_of(current_user.id)]:
        abort(404)
    return number_id


def _page(form: NumbersForm) -> ResponseReturnValue:
    return render_template("my_account/phone_numbers.html", form=form), 422 if form.in_error else 200


def _back(done: str) -> ResponseReturnValue:
    flash(done, "info")
    return redirect(url_for("my_numbers.listing"), 303)

"""My account → Phone numbers."""

from flask import Blueprint, abort, flash, redirect, render_template
from flask.typing import ResponseReturnValue
from flask_security import current_user

from portal.accounts.tables.phone_numbers import phones_of
from portal.web.access import allow
from portal.web.account import opt_in_pages, phone_number_form
from portal.web.account.phone_number_form import NumberContext, PhoneNumberForms

pages = Blueprint("my_numbers", __name__, url_prefix="/MyAccount/PhoneNumbers")


@pages.get("")
@allow("user")
def listing() -> ResponseReturnValue:
    return _render_forms(phone_number_form.build_forms(_context()))


@pages.post("")
@allow("user")
def add_number() -> ResponseReturnValue:
    rejected = phone_number_form.submit_new_number(_context())
    if rejected:
        return _render_forms(rejected)
    return _redirect_with_message(phone_number_form.number_added_message(_context()))


@pages.get("/<id:number_id>")
@allow("user")
def show_number(number_id: int) -> ResponseReturnValue:
    return opt_in_pages.render_number(_context(), number_id)


@pages.post("/<id:number_id>/label")
@allow("user")
def relabel_number(number_id: int) -> ResponseReturnValue:
    rejected = phone_number_form.submit_label(_context(), _own_id_or_404(number_id))
    return _render_forms(rejected) if rejected else _redirect_with_message("Label saved.")


@pages.get("/<id:number_id>/remove")
@allow("user")
def confirm_removal(number_id: int) -> str:
    removal = phone_number_form.build_removal(_context(), number_id) or abort(404)
    return render_template("numbers/remove.html", number_context=_context(), removal=removal)


@pages.post("/<id:number_id>/remove")
@allow("user")
def remove_number(number_id: int) -> ResponseReturnValue:
    phone_number_form.submit_removal(_context(), _own_id_or_404(number_id))
    return _redirect_with_message("The number was removed from your account.")


@pages.post("/<id:number_id>/confirm")
@allow("user")
def confirm_number(number_id: int) -> ResponseReturnValue:
    return opt_in_pages.confirm_reachable(_context(), number_id)


@pages.get("/<id:number_id>/EnableTexts")
@allow("user")
def enable_texts(number_id: int) -> ResponseReturnValue:
    return opt_in_pages.render_prompt_page(_context(), number_id)


@pages.post("/<id:number_id>/EnableTexts")
@allow("user")
def invite_number(number_id: int) -> ResponseReturnValue:
    return opt_in_pages.invite(_context(), number_id)


def _context() -> NumberContext:
    return NumberContext("my_numbers", "listing", current_user, is_own=True)


def _own_id_or_404(number_id: int) -> int:
    """Another account's number gives 404, like one that does not exist."""
    if number_id not in [phone.id for phone in phones_of(current_user.id)]:
        abort(404)
    return number_id


def _render_forms(forms: PhoneNumberForms) -> ResponseReturnValue:
    return render_template("my_account/phone_numbers.html", forms=forms), 422 if forms.has_errors else 200


def _redirect_with_message(message: str) -> ResponseReturnValue:
    flash(message, "info")
    return redirect(_context().list_url, 303)

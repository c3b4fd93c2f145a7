"""Administration → accounts: search, and the account profile."""

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from portal.accounts.tables.account_search import count_results, search_accounts
from portal.accounts.tables.accounts import Account, account_types
from portal.accounts.tables.phone_numbers import phones_of
from portal.core.extensions import db
from portal.core.rules.delivery_status import DeliveryState
from portal.messages.tables import communication_history
from portal.web.access import allow
from portal.web.account import opt_in_pages, phone_number_form
from portal.web.account.phone_number_form import NumberContext, PhoneNumberForms
from portal.web.delivery_labels import CHANNEL_LABELS, ChannelStatus, channel_status, channel_statuses
from portal.web.layout import is_sms_visible
from portal.web.request_input import is_htmx_request, query_id, query_text

pages = Blueprint("admin_accounts", __name__, url_prefix="/Admin/Accounts")
_PAGE_SIZE = 50
_MAX_PAGE = 10_000
_RECENT_COUNT = 8


@pages.get("")
@allow("admin")
def listing() -> ResponseReturnValue:
    """While the user types, htmx requests the same address and gets only the list."""
    search_text, account_type = query_text("q"), query_text("type")
    page_number = min(query_id("page") or 1, _MAX_PAGE)
    query = search_accounts(search_text, account_type)
    total = count_results(query)
    template = "admin/accounts/_list.html" if is_htmx_request() else "admin/accounts/index.html"
    page = render_template(
        template,
        accounts=db.session.scalars(query.limit(_PAGE_SIZE).offset((page_number - 1) * _PAGE_SIZE)).all(),
        total=total,
        page_number=page_number,
        has_next=page_number * _PAGE_SIZE < total,
        search_text=search_text,
        account_type=account_type,
        account_types=account_types(),
    )
    return page, {"Vary": "HX-Request"}


@pages.get("/<id:account_id>")
@allow("admin")
def profile(account_id: int) -> ResponseReturnValue:
    return _profile(phone_number_form.build_forms(_number_context(account_id)))


@pages.post("/<id:account_id>/numbers")
@allow("admin")
def add_number(account_id: int) -> ResponseReturnValue:
    context = _number_context(account_id)
    if rejected := phone_number_form.submit_new_number(context):
        return _profile(rejected)
    return _redirect_to_profile(account_id, phone_number_form.number_added_message(context))


@pages.get("/<id:account_id>/numbers/<id:number_id>")
@allow("admin")
def show_number(account_id: int, number_id: int) -> ResponseReturnValue:
    return opt_in_pages.render_number(_number_context(account_id), number_id)


@pages.post("/<id:account_id>/numbers/<id:number_id>/label")
@allow("admin")
def relabel_number(account_id: int, number_id: int) -> ResponseReturnValue:
    rejected = phone_number_form.submit_label(_number_context(account_id), _own_number_or_404(account_id, number_id))
    return _profile(rejected) if rejected else _redirect_to_profile(account_id, "Label saved.")


@pages.get("/<id:account_id>/numbers/<id:number_id>/remove")
@allow("admin")
def confirm_removal(account_id: int, number_id: int) -> str:
    number_context = _number_context(account_id)
    removal = phone_number_form.build_removal(number_context, number_id) or abort(404)
    return render_template("numbers/remove.html", number_context=number_context, removal=removal)


@pages.post("/<id:account_id>/numbers/<id:number_id>/remove")
@allow("admin")
def remove_number(account_id: int, number_id: int) -> ResponseReturnValue:
    phone_number_form.submit_removal(_number_context(account_id), _own_number_or_404(account_id, number_id))
    return _redirect_to_profile(account_id, "The number was removed from the account.")


@pages.post("/<id:account_id>/numbers/<id:number_id>/confirm")
@allow("admin")
def confirm_number(account_id: int, number_id: int) -> ResponseReturnValue:
    return opt_in_pages.confirm_reachable(_number_context(account_id), number_id)


@pages.get("/<id:account_id>/numbers/<id:number_id>/EnableTexts")
@allow("admin")
def enable_texts(account_id: int, number_id: int) -> ResponseReturnValue:
    return opt_in_pages.render_prompt_page(_number_context(account_id), number_id)


@pages.post("/<id:account_id>/numbers/<id:number_id>/EnableTexts")
@allow("admin")
def invite_number(account_id: int, number_id: int) -> ResponseReturnValue:
    return opt_in_pages.invite(_number_context(account_id), number_id)


def _number_context(account_id: int) -> NumberContext:
    account = db.session.get(Account, account_id) or abort(404)
    return NumberContext("admin_accounts", "profile", account)


def _own_number_or_404(account_id: int, number_id: int) -> int:
    if number_id not in [number.id for number in phones_of(account_id)]:
        abort(404)
    return number_id


def _profile(forms: PhoneNumberForms) -> ResponseReturnValue:
    account = forms.number_context.account
    communications = communication_history.account_page(account.id, None, _RECENT_COUNT, is_sms_visible())
    recent = [(item, {status.channel: status for status in channel_statuses(item)}) for item in communications]
    channels = {channel: name for channel, name in CHANNEL_LABELS.items() if channel == "email" or is_sms_visible()}
    page = render_template(
        "admin/accounts/profile.html",
        account=account,
        forms=forms,
        recent=recent,
        channels=channels,
        failed_email=_last_failed_email(account),
    )
    return page, 422 if forms.has_errors else 200


def _last_failed_email(account: Account) -> ChannelStatus | None:
    """The last email to the account's address, if the mail server did not accept it."""
    delivery = communication_history.latest_known_email(account.id, account.email)
    return channel_status(delivery) if delivery is not None and delivery.state != DeliveryState.HANDED_OFF else None


def _redirect_to_profile(account_id: int, message: str) -> ResponseReturnValue:
    flash(message, "info")
    return redirect(url_for("admin_accounts.profile", account_id=account_id), 303)

"""My account → Phone numbers, and the views that administrators have for the same on the Account Profile."""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user

from portal.accounts.account_permissions import require_permission
from portal.accounts.tables.phone_numbers import PhoneNumber, other_phones_with
from portal.consent import account_phones
from portal.consent.recording import consent_state_of
from portal.consent.rules.consent_state import open_requests
from portal.content import topic_management
from portal.content.tables.topics import topics_in_use, topics_off
from portal.core.clock import now_ms
from portal.core.errors import ActionRefused, InvalidInput
from portal.core.translation import gettext as _
from portal.web.access import allow
from portal.web.account import opt_in_pages
from portal.web.account.phone_number_form import (
    NewNumberForm,
    NumberContext,
    NumberLabelForm,
    PhoneNumberForms,
    PhoneNumberRow,
    build_forms,
    display_phone,
    find_phone,
    find_row,
)
from portal.web.authentication.recent_sign_in import needs_recent_sign_in
from portal.web.base_form import IdsField, PortalForm
from portal.web.layout import is_sms_visible


class TopicChoiceForm(PortalForm):
    """`shown` are the topics on the page, `wanted` those among them that the person wants texts about."""

    shown = IdsField(default=list)
    wanted = IdsField(default=list)


pages = Blueprint("my_numbers", __name__, url_prefix="/MyAccount/PhoneNumbers")


def add_number_views(
    blueprint: Blueprint, role: str, prefix: str, context: Callable[[int | None], NumberContext]
) -> None:
    """`context` gets the account id in the address, if the prefix has one."""

    def in_context(view: Callable[..., ResponseReturnValue]) -> Callable[..., ResponseReturnValue]:
        return lambda account_id=None, **values: view(context(account_id), **values)

    for rule, name, method, view in _VIEWS:
        permitted = view if name == _ONLY_SHOWS else _for_the_permitted(view)
        view_of_role = allow(role)(in_context(permitted))
        guarded = needs_recent_sign_in(view_of_role) if name in _CHANGES else view_of_role
        blueprint.add_url_rule(prefix + rule, name, guarded, methods=[method])


def _for_the_permitted(view: Callable[..., ResponseReturnValue]) -> Callable[..., ResponseReturnValue]:
    def permitted_view(number_context: NumberContext, **values: Any) -> ResponseReturnValue:
        require_permission(current_user.id, number_context.account)
        return view(number_context, **values)

    return permitted_view


def _add(number_context: NumberContext) -> ResponseReturnValue:
    form, account_id = NewNumberForm(), number_context.account.id
    typed = form.number.data, form.label.data
    try:
        account_phones.add_number(account_id, *typed, now_ms(), form.confirmed_phone.data, number_context.actor)
    except InvalidInput as error:
        return number_context.render_list(build_forms(number_context, form.with_errors(error)))
    message = (
        _("The number is now on your account.") if number_context.is_own else _("The number is now on the account.")
    )
    hint = _("To get texts there too, choose “Enable texts…” next to it.") if is_sms_visible() else ""
    return _redirect(number_context, f"{message} {hint}".rstrip())


def _relabel(number_context: NumberContext, number_id: int) -> ResponseReturnValue:
    form, phone = NumberLabelForm(), _phone_or_404(number_context, number_id)
    try:
        account_phones.relabel_number(phone.id, phone.account_id, form.label.data, number_context.actor, now_ms())
    except InvalidInput as error:
        return number_context.render_list(build_forms(number_context, None, {number_id: form.with_errors(error)}))
    return _redirect(number_context, _("Label saved."))


def _confirm_removal(number_context: NumberContext, number_id: int) -> ResponseReturnValue:
    """Shows what follows. Texts are mentioned to administrators, and to people while texts are on."""
    phone = _phone_or_404(number_context, number_id)
    shows_sms = is_sms_visible() or not number_context.is_own
    return render_template(
        "numbers/remove.html",
        number_context=number_context,
        phone=phone,
        shows_sms=shows_sms,
        receives_texts=shows_sms and phone.receives_sms,
        has_open_request=shows_sms and phone.account_id in open_requests(consent_state_of(phone.number), now_ms()),
        other_phones=[] if number_context.is_own else other_phones_with(phone.number, phone.account_id),
    )


def _remove(number_context: NumberContext, number_id: int) -> ResponseReturnValue:
    phone = _phone_or_404(number_context, number_id)
    account_phones.remove_number(phone.id, phone.account_id, number_context.actor, now_ms())
    own, other = _("The number was removed from your account."), _("The number was removed from the account.")
    return _redirect(number_context, own if number_context.is_own else other)


_CHANGES = ("add_number", "remove_number")
_ONLY_SHOWS = "show_number"
"""The other views lead to a change of the account, or make it."""
_VIEWS: tuple[tuple[str, str, str, Callable[..., Any]], ...] = (
    ("", "add_number", "POST", _add),
    ("/<id:number_id>", _ONLY_SHOWS, "GET", opt_in_pages.render_number),
    ("/<id:number_id>/label", "relabel_number", "POST", _relabel),
    ("/<id:number_id>/remove", "confirm_removal", "GET", _confirm_removal),
    ("/<id:number_id>/remove", "remove_number", "POST", _remove),
    ("/<id:number_id>/confirm", "confirm_number", "POST", opt_in_pages.confirm_reachable),
    ("/<id:number_id>/EnableTexts", "enable_texts", "GET", opt_in_pages.render_prompt_page),
    ("/<id:number_id>/EnableTexts", "invite_number", "POST", opt_in_pages.invite),
)


@pages.get("")
@allow("user")
def listing() -> ResponseReturnValue:
    return _render(build_forms(_own_context()))


def _own_context(_account_id: int | None = None) -> NumberContext:
    return NumberContext("my_numbers", "listing", current_user, _render, is_own=True)


def _render(forms: PhoneNumberForms) -> ResponseReturnValue:
    page = render_template(
        "my_account/phone_numbers.html",
        forms=forms,
        topics=topics_in_use() if is_sms_visible() else [],
        topics_off=topics_off(current_user.id),
    )
    return page, 422 if forms.has_errors else 200


def _phone_or_404(number_context: NumberContext, number_id: int) -> PhoneNumber:
    """Another account's number gives 404, like one that does not exist."""
    return find_phone(number_context, number_id) or abort(404)


def _redirect(number_context: NumberContext, message: str) -> ResponseReturnValue:
    flash(message, "info")
    return redirect(number_context.list_url, 303)


@pages.get("/<id:number_id>/StopTexts")
@allow("user")
def confirm_stop(number_id: int) -> ResponseReturnValue:
    row = _live_row_or_404(number_id)
    if row.status is None or row.status.action != "stop":
        return redirect(url_for(".listing"), 303)
    return render_template("numbers/stop.html", number_context=_own_context(), phone=row.phone)


@pages.post("/<id:number_id>/StopTexts")
@allow("user")
def stop_texts(number_id: int) -> ResponseReturnValue:
    """Only for people's own numbers: administrators record an opt-out with the person's words."""
    row, context = _live_row_or_404(number_id), _own_context()
    try:
        account_phones.stop_texts(number_id, context.account.id, context.actor, now_ms())
    except ActionRefused as error:
        flash(error.message, "error")
        return redirect(context.list_url, 303)
    number = display_phone(row.phone.number)
    return _redirect(
        context, _("Texts to %(number)s are stopped. Only START from that phone turns them on again.", number=number)
    )


@pages.post("/Topics")
@allow("user")
def choose_topics() -> ResponseReturnValue:
    form, context = TopicChoiceForm(), _own_context()
    topic_management.choose_topics(current_user.id, form.shown.data, form.wanted.data, context.actor, now_ms())
    return _redirect(context, _("Your choice of topics is saved. It counts from the next text on."))


def _live_row_or_404(number_id: int) -> PhoneNumberRow:
    """Nobody has these pages while texts are off (docs/consent-rules.md#feature-switch)."""
    row = find_row(_own_context(), number_id) if is_sms_visible() else None
    return row or abort(404)


add_number_views(pages, "user", "", _own_context)

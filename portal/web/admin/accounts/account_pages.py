"""Administration → accounts: search, and the account profile."""

from collections.abc import Collection

from flask import Blueprint, abort, render_template
from flask.typing import ResponseReturnValue
from flask_security import current_user

from portal.accounts.password_invitation import invitation_problem
from portal.accounts.rules.access_rules import acting_problem, is_owner
from portal.accounts.rules.attribute_values import AttributeKind
from portal.accounts.tables.account_search import BY_NAME, count_results, search_accounts
from portal.accounts.tables.accounts import Account, account_types, merged_accounts
from portal.accounts.tables.attributes import Attribute, all_attributes, values_of
from portal.authentication.second_factors import has_second_factor
from portal.content.tables.topics import names_of_topics_off
from portal.core.context import settings
from portal.core.extensions import db
from portal.core.rules.delivery_status import DeliveryState
from portal.core.translation import LANGUAGES, N_
from portal.core.translation import gettext as _
from portal.messages.tables import communication_history
from portal.people.deactivation import reactivation_problem
from portal.web.access import allow
from portal.web.account import phone_number_pages
from portal.web.account.phone_number_form import NumberContext, PhoneNumberForms, build_forms
from portal.web.admin.accounts.account_form import ROLE_LABELS
from portal.web.delivery_labels import CHANNEL_LABELS, ChannelStatus, channel_status, channel_statuses
from portal.web.languages import language_choices
from portal.web.layout import is_sms_visible
from portal.web.paging import Sort, requested_order, sorted_page
from portal.web.request_input import is_htmx_request, query_text
from portal.web.time_display import relative_time

pages = Blueprint("admin_accounts", __name__, url_prefix="/Admin/Accounts")
_PAGE_SIZE = 50
_SORTS = (
    # No index serves this order; the other direction would cost as much and help nobody.
    Sort("name", N_("Name"), BY_NAME, is_reversible=False),
    Sort("number", N_("Account number"), (Account.external_id_folded, Account.id)),
    Sort("type", N_("Type"), (Account.account_type, Account.id)),
    Sort("email", N_("Email"), (Account.email_folded, Account.id)),
)
_RECENT_COUNT = 8
_STATUSES = {"active": N_("Active"), "deactivated": N_("Deactivated")}


@pages.get("")
@allow("admin")
def listing() -> ResponseReturnValue:
    """While the user types, htmx requests the same address and gets only the list."""
    search_text, account_type, order = query_text("q"), query_text("type"), requested_order(*_SORTS)
    status, language = query_text("status"), query_text("language")
    is_active = {"active": True, "deactivated": False}.get(status)
    query = search_accounts(search_text, account_type, is_active, _chosen_by_readers_of(language))
    template = "admin/accounts/_list.html" if is_htmx_request() else "admin/accounts/index.html"
    page = render_template(
        template,
        page=sorted_page(order, order.keyset(_PAGE_SIZE).fetch(query)),
        total=count_results(query),
        search_text=search_text,
        account_type=account_type,
        account_types={name: name for name in account_types()},
        languages=LANGUAGES,
        language_filter=language,
        status=status,
        statuses={value: _(label) for value, label in _STATUSES.items()},
    )
    return page, {"Vary": "HX-Request"}


@pages.get("/<id:account_id>")
@allow("admin")
def profile(account_id: int) -> ResponseReturnValue:
    return _profile(build_forms(_number_context(account_id)))


def _chosen_by_readers_of(language: str) -> Collection[str]:
    """Who has chosen none reads that of the portal."""
    if language not in LANGUAGES:
        return ()
    return (language, "") if language == settings().language else (language,)


def _number_context(account_id: int | None) -> NumberContext:
    account = db.session.get(Account, account_id or 0) or abort(404)
    return NumberContext("admin_accounts", "profile", account, _profile)


def _profile(forms: PhoneNumberForms) -> ResponseReturnValue:
    account = forms.number_context.account
    communications = communication_history.account_page(account.id, None, _RECENT_COUNT, is_sms_visible())
    recent = [(item, {status.channel: status for status in channel_statuses(item)}) for item in communications]
    channels = {channel: _(name) for channel, name in CHANNEL_LABELS.items() if channel == "email" or is_sms_visible()}
    page = render_template(
        "admin/accounts/profile.html",
        account=account,
        role=_(ROLE_LABELS[account.role]),
        languages=language_choices(),
        may_act=not acting_problem(current_user.role, account.role, is_owner(account.id, current_user.id)),
        merged_into=db.session.get(Account, account.merged_into_id) if account.merged_into_id else None,
        merged_accounts=merged_accounts(account.id),
        has_second_factor=has_second_factor(account.id),
        can_be_invited=not invitation_problem(account),
        can_be_reactivated=not reactivation_problem(account),
        forms=forms,
        attributes=_attributes(account),
        topics_off=names_of_topics_off(account.id) if is_sms_visible() else [],
        recent=recent,
        channels=channels,
        failed_email=_last_failed_email(account),
    )
    return page, 422 if forms.has_errors else 200


def _attributes(account: Account) -> list[tuple[str, str]]:
    """The label and the value of each attribute, as people read them."""
    values = values_of([account.id]).get(account.id, {})
    return [(attribute.label, _shown(attribute, values.get(attribute.key, ""))) for attribute in all_attributes()]


def _shown(attribute: Attribute, value: str) -> str:
    return relative_time(0, value) if value and attribute.kind == AttributeKind.DATE else value


def _last_failed_email(account: Account) -> ChannelStatus | None:
    """The last email to the account's address, if the mail server did not accept it."""
    delivery = communication_history.latest_known_email(account.id, account.email)
    return channel_status(delivery) if delivery is not None and delivery.state != DeliveryState.HANDED_OFF else None


phone_number_pages.add_number_views(pages, "admin", "/<id:account_id>/numbers", _number_context)

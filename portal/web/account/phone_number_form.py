"""The form for an account's phone numbers, on the person's own page and on the Account Profile."""

import hashlib
from dataclasses import dataclass, field, replace
from typing import Any

from flask import url_for
from flask_security import current_user

from portal.accounts.tables.accounts import Account
from portal.accounts.tables.phone_numbers import PhoneNumber, other_phones_with, phones_of
from portal.consent import account_phones
from portal.consent.number_status import NumberStatus, number_status
from portal.consent.recording import consent_state_of
from portal.consent.rules.consent_state import open_requests
from portal.content import content_blocks
from portal.content.rules import content_block_checks
from portal.core.actor import Actor
from portal.core.clock import now_ms
from portal.core.context import settings
from portal.core.errors import InvalidInput
from portal.core.rules.phone import example_phone, format_phone
from portal.settings.live_gateway import sending_number_label
from portal.web.access import has_role
from portal.web.current_actor import current_actor
from portal.web.layout import is_sms_visible
from portal.web.polling import poll_interval_seconds
from portal.web.request_input import form_code, form_text, unconfirmed_number

_HOUR_MS = 3_600_000


@dataclass(frozen=True)
class NumberContext:
    """Where an account's numbers are edited: on the person's own page, or by administrators on the Account Profile.

    Both blueprints use the same view names. `list_view` is the page that lists the numbers.
    """

    blueprint: str
    list_view: str
    account: Account
    is_own: bool = False

    def url(self, view: str, **values: Any) -> str:
        if not self.is_own:
            values["account_id"] = self.account.id
        return url_for(f"{self.blueprint}.{view}", **values)

    @property
    def list_url(self) -> str:
        return self.url(self.list_view)

    @property
    def possessive(self) -> str:
        return "your" if self.is_own else "this"

    @property
    def acts_for_other(self) -> bool:
        """Whether an administrator acts for somebody else."""
        return bool(self.account.id != current_user.id)

    @property
    def actor(self) -> Actor:
        return current_actor(by_admin=self.acts_for_other)


@dataclass(frozen=True)
class PhoneNumberRow:
    """`status` is None while texts are off. The page polls every `poll_seconds`."""

    phone: PhoneNumber
    status: NumberStatus | None
    other_phones: list[PhoneNumber]
    since_prefix: str = ""
    poll_seconds: int | None = None

    @property
    def fingerprint(self) -> str:
        """Identifies the displayed status: polling gets an empty response while it is unchanged."""
        displayed = self.status and (self.status.label, self.status.since_ms, self.status.action, self.poll_seconds)
        return hashlib.sha256(repr(displayed).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class NumberRemoval:
    """The effects of removing a number from the account.

    `has_open_request`: the account asked for texts there. `other_phones` are listed only for administrators. Texts are
    not mentioned unless `shows_sms`.
    """

    phone: PhoneNumber
    other_phones: list[PhoneNumber]
    receives_texts: bool
    has_open_request: bool
    shows_sms: bool


@dataclass(frozen=True)
class PhoneNumbersForm:
    """`errors` is keyed by field, `label_errors` by number id, and `values` is the rejected input.

    `stop_help_text` is Markdown, empty while texts are off.
    """

    number_context: NumberContext
    rows: list[PhoneNumberRow]
    region: str
    example: str
    stop_help_text: str = ""
    values: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    label_errors: dict[int, str] = field(default_factory=dict)
    number_to_confirm: str = ""
    """A number to be added once somebody confirms its digits."""

    @property
    def has_errors(self) -> bool:
        return bool(self.errors or self.label_errors)


def build_form(number_context: NumberContext, **changes: dict[str, str] | dict[int, str]) -> PhoneNumbersForm:
    rows = _build_rows(phones_of(number_context.account.id))
    region = settings().region
    form = PhoneNumbersForm(number_context, rows, region, example_phone(region), stop_help_text(number_context))
    return replace(form, **changes)  # type: ignore[arg-type]


def find_phone(number_context: NumberContext, number_id: int) -> PhoneNumber | None:
    return next((phone for phone in phones_of(number_context.account.id) if phone.id == number_id), None)


def find_row(number_context: NumberContext, number_id: int) -> PhoneNumberRow | None:
    """None for a number of another account, as for one that does not exist."""
    phone = find_phone(number_context, number_id)
    return _build_rows([phone])[0] if phone else None


def stop_help_text(number_context: NumberContext) -> str:
    """How to stop texts and get help, in Markdown; only on the person's own page."""
    if not number_context.is_own or not is_sms_visible():
        return ""
    return content_blocks.render_block(content_block_checks.STOP_HELP_INFO).markdown


def submit_new_number(number_context: NumberContext) -> PhoneNumbersForm | None:
    """None if the number was added; else the form with the input and its errors."""
    values = {"number": form_text("number"), "label": form_text("label")}
    account_id, confirmed = number_context.account.id, form_code("confirmed_phone")
    try:
        account_phones.add_number(account_id, values["number"], values["label"], now_ms(), confirmed)
    except InvalidInput as error:
        form = build_form(number_context, values=values, errors=error.errors)
        return replace(form, number_to_confirm=unconfirmed_number(error))
    return None


def number_added_message(number_context: NumberContext) -> str:
    message = f"The number is now on {'your' if number_context.is_own else 'the'} account."
    return f"{message} To get texts there too, choose “Enable texts…” next to it." if is_sms_visible() else message


def submit_label(number_context: NumberContext, number_id: int) -> PhoneNumbersForm | None:
    try:
        account_phones.relabel_number(number_id, number_context.account.id, form_text("label"))
    except InvalidInput as error:
        return build_form(number_context, label_errors={number_id: error.message})
    return None


def build_removal(number_context: NumberContext, number_id: int) -> NumberRemoval | None:
    """None if the number is not on the account."""
    phone = find_phone(number_context, number_id)
    if phone is None:
        return None
    account_id = number_context.account.id
    lists_others = has_role("admin") and not number_context.is_own
    shows_sms = is_sms_visible() or not number_context.is_own
    return NumberRemoval(
        phone,
        other_phones_with(phone.number, account_id) if lists_others else [],
        receives_texts=shows_sms and phone.receives_sms,
        has_open_request=shows_sms and account_id in open_requests(consent_state_of(phone.number), now_ms()),
        shows_sms=shows_sms,
    )


def submit_removal(number_context: NumberContext, number_id: int) -> None:
    account_phones.remove_number(number_id, number_context.account.id, number_context.actor, now_ms())


def display_phone(number: str) -> str:
    return format_phone(number, settings().region)


def _build_rows(phones: list[PhoneNumber]) -> list[PhoneNumberRow]:
    is_admin, now = has_role("admin"), now_ms()
    rows = []
    for phone in phones:
        others = other_phones_with(phone.number, phone.account_id) if is_admin else []
        status = number_status(phone, sending_number_label(phone.number), now, is_admin) if is_sms_visible() else None
        rows.append(PhoneNumberRow(phone, status, others, *_poll_schedule(status, now)))
    return rows


def _poll_schedule(status: NumberStatus | None, now: int) -> tuple[str, int | None]:
    """The word before the time (none in the first hour, which reads “3 minutes ago”), and seconds between polls."""
    if status is None or status.since_ms is None:
        return "", None
    age_ms = now - status.since_ms
    return "since" if age_ms >= _HOUR_MS else "", poll_interval_seconds(age_ms) if status.pending else None

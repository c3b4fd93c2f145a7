"""The form for phone numbers on an account: the same on one's own page and on the Account Profile."""

import hashlib
from collections.abc import Callable
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
    """Where an account's numbers are looked after: on one's own page, or on the Account Profile by administrators.

    Both blueprints call their views the same, and `home` the page that lists the numbers.
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


@dataclass(frozen=True)
class PhoneNumberRow:
    """A number as shown: `state` is None while nothing of SMS shows. It looks again `every` so many seconds."""

    phone: PhoneNumber
    status: NumberStatus | None
    other_phones: list[PhoneNumber]
    since_prefix: str = ""
    poll_seconds: int | None = None

    @property
    def fingerprint(self) -> str:
        """What is on the page, in short: while it is still so, whoever looks again is answered nothing."""
        shown = self.status and (self.status.label, self.status.since_ms, self.status.action, self.poll_seconds)
        return hashlib.sha256(repr(shown).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class NumberRemoval:
    """A number that is to leave the account. `asked` where a request of the account for texts is open, `others` are
    told to administrators only. Where nothing of SMS shows, texts are not mentioned."""

    phone: PhoneNumber
    others: list[PhoneNumber]
    receives_texts: bool
    has_open_request: bool
    shows_sms: bool


@dataclass(frozen=True)
class PhoneNumbersForm:
    """`errors` by field; `label_errors` by the number whose label it is. What was typed is kept.

    `information` is the block on STOP and HELP, empty while nothing of SMS shows.
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


def find_row(number_context: NumberContext, number_id: int) -> PhoneNumberRow | None:
    """A number of somebody else's account is as unknown as one that never was."""
    rows = _build_rows([phone for phone in phones_of(number_context.account.id) if phone.id == number_id])
    return rows[0] if rows else None


def stop_help_text(number_context: NumberContext) -> str:
    """How to stop texts and get help, in Markdown, for those whose texts they are."""
    return (
        content_blocks.render_block(content_block_checks.STOP_HELP_INFO).markdown
        if number_context.is_own and is_sms_visible()
        else ""
    )


def submit_new_number(number_context: NumberContext) -> PhoneNumbersForm | None:
    """None when the number was added; else the form with what was typed and what is wrong with it."""
    values = {"number": form_text("number"), "label": form_text("label")}
    confirmed = form_code("confirmed_phone")
    return _submit(
        lambda: account_phones.add_number(
            number_context.account.id, values["number"], values["label"], now_ms(), confirmed
        ),
        lambda error: replace(
            build_form(number_context, values=values, errors=error.errors),
            number_to_confirm=unconfirmed_number(error),
        ),
    )


def number_added_message(number_context: NumberContext) -> str:
    """What to say when a number was added."""
    done = f"The number is on {number_context.possessive if number_context.is_own else 'the'} account."
    return f"{done} To get texts there as well, choose “Enable texts…” beside it." if is_sms_visible() else done


def submit_label(number_context: NumberContext, number_id: int) -> PhoneNumbersForm | None:
    label = form_text("label")
    return _submit(
        lambda: account_phones.relabel_number(number_id, number_context.account.id, label),
        lambda error: build_form(number_context, label_errors={number_id: " ".join(error.errors.values())}),
    )


def build_removal(number_context: NumberContext, number_id: int) -> NumberRemoval | None:
    """What is shown before a number leaves the account; None for one that is not on it."""
    phone = next((phone for phone in phones_of(number_context.account.id) if phone.id == number_id), None)
    if phone is None:
        return None
    others = (
        other_phones_with(phone.number, number_context.account.id)
        if has_role("admin") and not number_context.is_own
        else []
    )
    seen = is_sms_visible() or not number_context.is_own
    asked = seen and number_context.account.id in open_requests(consent_state_of(phone.number), now_ms())
    return NumberRemoval(
        phone, others, receives_texts=seen and phone.receives_sms, has_open_request=asked, shows_sms=seen
    )


def submit_removal(number_context: NumberContext, number_id: int) -> None:
    account_phones.remove_number(
        number_id, number_context.account.id, current_actor(by_admin=number_context.acts_for_other), now_ms()
    )


def display_phone(number: str) -> str:
    return format_phone(number, settings().region)


def _submit(act: Callable[[], object], refused: Callable[[InvalidInput], PhoneNumbersForm]) -> PhoneNumbersForm | None:
    try:
        act()
    except InvalidInput as error:
        return refused(error)
    return None


def _build_rows(found: list[PhoneNumber]) -> list[PhoneNumberRow]:
    to_admin, now = has_role("admin"), now_ms()
    rows = []
    for phone in found:
        others = other_phones_with(phone.number, phone.account_id) if to_admin else []
        state = number_status(phone, sending_number_label(phone.number), now, to_admin) if is_sms_visible() else None
        rows.append(PhoneNumberRow(phone, state, others, *_poll_schedule(state, now)))
    return rows


def _poll_schedule(state: NumberStatus | None, now: int) -> tuple[str, int | None]:
    """Whether “since” goes before the time, which in the first hour reads “3 minutes ago”; and when to look again."""
    if state is None or state.since_ms is None:
        return "", None
    age_ms = now - state.since_ms
    return "since" if age_ms >= _HOUR_MS else "", poll_interval_seconds(age_ms) if state.pending else None

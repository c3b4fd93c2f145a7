"""The forms for an account's phone numbers, on the person's own page and on the Account Profile."""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flask import url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user
from wtforms import HiddenField, StringField

from portal.accounts.tables.accounts import Account
from portal.accounts.tables.phone_numbers import PhoneNumber, other_phones_with, phones_of
from portal.consent.number_status import NumberStatus, number_status
from portal.consent.tables.ledger import stored_status
from portal.content import content_blocks
from portal.content.rules import content_block_checks
from portal.core.actor import Actor
from portal.core.clock import now_ms
from portal.core.context import settings
from portal.core.rules.phone import format_phone
from portal.core.translation import current_language, lazy_gettext
from portal.settings.live_gateway import live_sender, sender_for, sending_number_label
from portal.web.access import has_role
from portal.web.account.start_link import StartLink
from portal.web.base_form import PhoneForm, PortalForm
from portal.web.current_actor import current_actor
from portal.web.layout import is_sms_visible
from portal.web.polling import LIVE_INTERVAL_SECONDS, poll_interval_seconds

_HOUR_MS = 3_600_000
_MAX_POLLING_MS = _HOUR_MS
"""An open page that nothing has changed stops asking after this time, and offers a link instead."""


class NewNumberForm(PhoneForm):
    label = StringField(lazy_gettext("Label (optional)"))


class InvitationForm(PortalForm):
    """`wording` is the fingerprint of the prompt that the person saw."""

    wording = HiddenField()


class NumberLabelForm(PortalForm):
    label = StringField(lazy_gettext("Label"))


@dataclass(frozen=True)
class NumberContext:
    """Where an account's numbers are edited: on the person's own page, or by administrators on the Account Profile.

    Both blueprints use the same view names. `list_view` lists the numbers, and `render_list` renders it.
    """

    blueprint: str
    list_view: str
    account: Account
    render_list: "Callable[[PhoneNumberForms], ResponseReturnValue]"
    is_own: bool = False

    def url(self, view: str, **values: Any) -> str:
        if not self.is_own:
            values["account_id"] = self.account.id
        return url_for(f"{self.blueprint}.{view}", **values)

    @property
    def list_url(self) -> str:
        return self.url(self.list_view)

    @property
    def acts_for_other(self) -> bool:
        """Whether an administrator acts for somebody else."""
        return bool(self.account.id != current_user.id)

    @property
    def actor(self) -> Actor:
        return current_actor(by_admin=self.acts_for_other)


@dataclass(frozen=True)
class PhoneNumberRow:
    """`status` is None while texts are off. The page polls every `poll_seconds` until `poll_until_ms`, then no more.

    `start_link` is given where START from the phone helps, and a number to text it to is known.
    """

    phone: PhoneNumber
    label_form: NumberLabelForm
    status: NumberStatus | None
    other_phones: list[PhoneNumber]
    is_over_an_hour_old: bool = False
    poll_seconds: int | None = None
    poll_until_ms: int = 0
    start_link: StartLink | None = None

    @property
    def fingerprint(self) -> str:
        """Identifies the displayed status: polling gets an empty response while it is unchanged."""
        if self.status and self.status.is_live:
            return live_fingerprint(self.phone)
        displayed = self.status and (self.status.label, self.status.since_ms, self.status.action, self.poll_seconds)
        return _keyed_hash(displayed)


@dataclass(frozen=True)
class PhoneNumberForms:
    """All numbers, each with the form of its label, and the form that adds one.

    `stop_help_text` is Markdown, empty while texts are off.
    """

    number_context: NumberContext
    rows: list[PhoneNumberRow]
    new_number: NewNumberForm
    stop_help_text: str

    @property
    def has_errors(self) -> bool:
        return any(form.errors for form in (self.new_number, *(row.label_form for row in self.rows)))


def build_forms(
    number_context: NumberContext,
    new_number: NewNumberForm | None = None,
    label_forms: Mapping[int, NumberLabelForm] | None = None,
) -> PhoneNumberForms:
    """`new_number` and `label_forms`, by number id, are rejected input; the other forms are as before any input."""
    rows = _build_rows(phones_of(number_context.account.id), label_forms or {})
    new_number = new_number or NewNumberForm(formdata=None)
    return PhoneNumberForms(number_context, rows, new_number, stop_help_text(number_context))


def find_phone(number_context: NumberContext, number_id: int) -> PhoneNumber | None:
    return next((phone for phone in phones_of(number_context.account.id) if phone.id == number_id), None)


def find_row(number_context: NumberContext, number_id: int) -> PhoneNumberRow | None:
    """None for a number of another account, as for one that does not exist."""
    phone = find_phone(number_context, number_id)
    return _build_rows([phone], {})[0] if phone else None


def live_fingerprint(phone: PhoneNumber) -> str:
    """Identifies a live status by the stored state behind it, which takes one query instead of a dozen.

    Only a page that shows a live status of this number on this account gives it away. So whoever may not see what the
    phone replied cannot find out by asking for it.
    """
    own = (phone.id, phone.account_id, phone.number, phone.receives_sms, phone.receives_sms_since_ms)
    return _keyed_hash((own, is_sms_visible(), stored_status(phone.number)))


def stop_help_text(number_context: NumberContext) -> str:
    """How to stop texts and get help, in Markdown; only on the person's own page."""
    if not number_context.is_own or not is_sms_visible():
        return ""
    return content_blocks.render_block(content_block_checks.STOP_HELP_INFO, language=current_language().code).markdown


def display_phone(number: str) -> str:
    return format_phone(number, settings().region)


def _build_rows(phones: list[PhoneNumber], label_forms: Mapping[int, NumberLabelForm]) -> list[PhoneNumberRow]:
    is_admin, now = has_role("admin"), now_ms()
    rows = []
    for phone in phones:
        others = other_phones_with(phone.number, phone.account_id) if is_admin else []
        status = number_status(phone, sending_number_label(phone.number), now, is_admin) if is_sms_visible() else None
        label_form = label_forms.get(phone.id) or NumberLabelForm(formdata=None, label=phone.label)
        schedule = (*_poll_schedule(status, now), now + _MAX_POLLING_MS)
        rows.append(PhoneNumberRow(phone, label_form, status, others, *schedule, _start_link(phone, status)))
    return rows


def _start_link(phone: PhoneNumber, status: NumberStatus | None) -> StartLink | None:
    number = sender_for(phone.number, live_sender()) if status and status.awaits_start else ""
    return StartLink(number) if number else None


def _poll_schedule(status: NumberStatus | None, now: int) -> tuple[bool, int | None]:
    """Whether the status is over an hour old (until then its time reads “3 minutes ago”), and seconds between polls."""
    if status is None or status.since_ms is None:
        return False, None
    age_ms = now - status.since_ms
    settled_seconds = LIVE_INTERVAL_SECONDS if status.is_live else None
    return age_ms >= _HOUR_MS, poll_interval_seconds(age_ms) if status.pending else settled_seconds


def _keyed_hash(value: object) -> str:
    """Nobody can compute it from what they guess about a number."""
    key = settings().secret_key.encode()
    return hmac.new(key, repr(("number status", value)).encode(), hashlib.sha256).hexdigest()[:16]

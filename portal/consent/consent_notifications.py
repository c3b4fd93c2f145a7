"""Texts and emails that follow an event of the ledger: invitation, welcome, and notices to the accounts concerned.

They are communications without a send. Each follows an event once, inside the caller's transaction.
"""

from typing import Any

from sqlalchemy import select

from portal.accounts.tables.accounts import Account
from portal.accounts.tables.phone_numbers import numbers_for_routing
from portal.consent.rules import auto_reply_limits
from portal.content import content_blocks
from portal.content.content_blocks import RenderedBlock
from portal.content.links import new_link_token
from portal.content.rules import content_block_checks
from portal.content.rules.markdown_literals import mark_literal
from portal.core.context import settings
from portal.core.extensions import db
from portal.core.rules import routing
from portal.core.rules.delivery_status import DeliveryState
from portal.core.rules.lanes import Lane
from portal.core.rules.phone import format_phone
from portal.core.rules.routing import Reason, TextKind
from portal.core.statements import insert_if_missing
from portal.messages.rules import sms_segments
from portal.messages.tables.communications import Communication, Delivery, text_times_since
from portal.settings import app_settings

DISPLACED, DECISION_PENDING, ASSIGNED, NUMBER_CHECK = "displaced", "decision_pending", "texts_assigned", "number_check"


def send_invitation(account_id: int, number: str, event_id: int, now_ms: int, displaces_account: bool = False) -> None:
    """`displaces_account`: START ends the texts of another account.

    The text says so, but not the page of the account that asks: anybody can add a stranger's number
    (docs/consent-rules.md#whose-number-it-is).
    """
    subject = f"Invitation to get texts at {_display_phone(number)}"
    block = content_blocks.render_block(content_block_checks.INVITATION_TEXT, number)
    notice = content_block_checks.INVITATION_MOVE_NOTICE if displaces_account else ""
    _create_sms(account_id, number, TextKind.INVITATION, subject, block, notice, event_id, now_ms)


def send_welcome(account_id: int, number: str, event_id: int, now_ms: int, displaced_account: bool = False) -> None:
    """`displaced_account`: this ended the texts of another account."""
    subject = f"Texts are on for {_display_phone(number)}"
    block = content_blocks.render_block(content_block_checks.WELCOME_TEXT, number)
    notice = content_block_checks.WELCOME_MOVE_NOTICE if displaced_account else ""
    _create_sms(account_id, number, TextKind.WELCOME, subject, block, notice, event_id, now_ms)


def notify_displaced(account_id: int, number: str, event_id: int, now_ms: int) -> None:
    """Tell the account that loses the texts, without naming the account that gets them."""
    phone = _display_phone(number)
    body = (
        f"Texts to {phone} have been turned on for another account. A number gets the texts of one account only, so "
        "notifications of this account no longer go there as texts. You still get all of them by email.\n\n"
        f"To get texts for this account again, invite the number on your [phone numbers page]({_phone_numbers_url()})."
    )
    _create_email(account_id, DISPLACED, f"Texts to {phone} now go to another account", body, event_id, now_ms)


def notify_decision_pending(account_id: int, number: str, event_id: int, now_ms: int) -> None:
    """Tell the account that got the texts, or would have but for a STOP, that an administrator must decide."""
    phone = _display_phone(number)
    body = (
        f"More than one account has had {phone}, and it is not clear which of them should get its texts. "
        "Nothing is texted there until that phone answers a request with START, or an administrator decides. "
        "You still get every notification by email.\n\n"
        f"To get texts for this account, ask for them on your [phone numbers page]({_phone_numbers_url()})."
    )
    subject = f"Texts to {phone} are on hold until it is clear whose it is"
    _create_email(account_id, DECISION_PENDING, subject, body, event_id, now_ms)


def notify_assigned(account_id: int, number: str, event_id: int, now_ms: int) -> None:
    """Tell the account to which an administrator gave the texts."""
    phone = _display_phone(number)
    body = (
        f"An administrator has moved the texts for {phone} to this account. From now on, notifications of this account "
        "go there as texts too. You still get all of them by email.\n\n"
        f"If that is not right, remove the number on your [phone numbers page]({_phone_numbers_url()}), "
        "or reply STOP to any of the texts."
    )
    _create_email(account_id, ASSIGNED, f"Texts to {phone} now go to this account", body, event_id, now_ms)


def request_number_confirmation(account_id: int, number: str, event_id: int, now_ms: int) -> None:
    phone = _display_phone(number)
    body = (
        f"We could not deliver a text to {phone}: the number cannot receive texts, or is no longer in use. "
        "No more texts go there until you have checked it. You still get every notification by email.\n\n"
        f"Please confirm or change the number on your [phone numbers page]({_phone_numbers_url()})."
    )
    _create_email(account_id, NUMBER_CHECK, f"Please check your phone number {phone}", body, event_id, now_ms)


def _create_sms(
    account_id: int,
    number: str,
    kind: TextKind,
    subject: str,
    block: RenderedBlock,
    notice: str,
    event_id: int,
    now_ms: int,
) -> None:
    """`notice` follows the text of the block. The page of an account that only asks for texts does not show it."""
    text = f"{block.text} {notice}".strip()
    body = mark_literal(block.text if kind is TextKind.INVITATION else text)
    communication_id = _create_communication(account_id, kind, subject, body, event_id, now_ms, block)
    if communication_id is None:
        return
    row = {
        "channel": "sms",
        "address": number,
        "body": text,
        "segments": sms_segments.measure_sms(text).segments,
        **_initial_state(_skip_reason(account_id, number, kind, now_ms)),
    }
    _create_delivery(communication_id, row, now_ms)


def _skip_reason(account_id: int, number: str, kind: TextKind, now_ms: int) -> Reason | None:
    if not _is_feature_on():
        return Reason.FEATURE_OFF
    phones = numbers_for_routing([account_id]).get(account_id, [])
    phone = next((candidate for candidate in phones if candidate.phone == number), None)
    if phone is None:
        return Reason.NO_NUMBER
    return routing.send_block_reason(kind, phone, True) or _repeat_reason(account_id, number, kind, now_ms)


def _repeat_reason(account_id: int, number: str, kind: TextKind, now_ms: int) -> Reason | None:
    """Do not welcome a machine that sends STOP and START in turn for ever. Invitations are asked for by a person."""
    if kind != TextKind.WELCOME:
        return None
    welcome_times_ms = text_times_since(account_id, number, kind, now_ms - auto_reply_limits.DAY_MS)
    return Reason.DUPLICATE_WELCOME if auto_reply_limits.repeat_refusal(welcome_times_ms, now_ms) else None


def _create_email(account_id: int, kind: str, subject: str, body: str, event_id: int, now_ms: int) -> None:
    """These emails are about texts, so none leaves while texts are off (docs/consent-rules.md#feature-switch)."""
    communication_id = _create_communication(account_id, kind, subject, body, event_id, now_ms)
    if communication_id is not None:
        state = _initial_state(None if _is_feature_on() else Reason.FEATURE_OFF)
        address = db.session.get_one(Account, account_id).email
        _create_delivery(communication_id, {"channel": "email", "address": address, **state}, now_ms)


def _is_feature_on() -> bool:
    return app_settings.resolve_current_gateway().switches.feature_on


def _initial_state(skip_reason: Reason | None) -> dict[str, str]:
    if skip_reason is None:
        return {"state": DeliveryState.READY.value}
    return {"state": DeliveryState.SKIPPED.value, "reason": skip_reason.value}


def _create_communication(
    account_id: int, kind: str, subject: str, body: str, event_id: int, now_ms: int, block: RenderedBlock | None = None
) -> int | None:
    """Return its id, or None if the event already has this communication. `block` is what the text was made from."""
    row = {
        "account_id": account_id,
        "kind": str(kind),
        "consent_event_id": event_id,
        "subject": subject,
        "body": body,
        "content_block": block.key if block else None,
        "content_block_version": block.version if block else None,
        "token": new_link_token(),
        "created_at_ms": now_ms,
    }
    if not insert_if_missing(Communication, row, ["consent_event_id", "kind", "account_id"]):
        return None
    return db.session.scalars(select(Communication.id).where(Communication.token == row["token"])).one()


def _create_delivery(communication_id: int, row: dict[str, Any], now_ms: int) -> None:
    times = dict.fromkeys(("due_at_ms", "state_changed_at_ms", "created_at_ms"), now_ms)
    db.session.add(Delivery(communication_id=communication_id, lane=Lane.URGENT, **times, **row))
    db.session.flush()


def _display_phone(number: str) -> str:
    return format_phone(number, settings().region)


def _phone_numbers_url() -> str:
    return f"{settings().public_url}/MyAccount/PhoneNumbers"

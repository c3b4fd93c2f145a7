"""What follows from an event of the ledger: an invitation, a welcome, a word to those whom it concerns.

Communications without a send. Each follows an event once; inside the caller's transaction.
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
from portal.core.rules.lanes import Lane
from portal.core.rules.phone import format_phone
from portal.core.rules.routing import Reason, TextKind
from portal.core.statements import insert_if_missing
from portal.messages.rules import sms_segments
from portal.messages.tables.communications import Communication, Delivery, text_times_since
from portal.settings import app_settings

DISPLACED, DECISION_PENDING, ASSIGNED, NUMBER_CHECK = "displaced", "decision_pending", "texts_assigned", "number_check"


def send_invitation(account_id: int, number: str, event_id: int, now_ms: int, displaces_account: bool = False) -> None:
    """`displaces_account`: START ends the texts of another account. The text says so, but not the page of the account that asks:
    anybody can put a stranger's number on their account."""
    subject = f"Invitation to get texts at {_display_phone(number)}"
    words = content_blocks.render_block(content_block_checks.INVITATION_TEXT, number)
    note = content_block_checks.INVITATION_MOVE_NOTICE if displaces_account else ""
    _create_sms(account_id, number, TextKind.INVITATION, subject, words, note, event_id, now_ms)


def send_welcome(account_id: int, number: str, event_id: int, now_ms: int, displaced_account: bool = False) -> None:
    """`displaced_account`: the texts of another account ended with this."""
    subject = f"Texts are on for {_display_phone(number)}"
    words = content_blocks.render_block(content_block_checks.WELCOME_TEXT, number)
    note = content_block_checks.WELCOME_MOVE_NOTICE if displaced_account else ""
    _create_sms(account_id, number, TextKind.WELCOME, subject, words, note, event_id, now_ms)


def notify_displaced(account_id: int, number: str, event_id: int, now_ms: int) -> None:
    """To whom the number's texts went until now. Whose they are now is nobody's business but the handset's."""
    body = (
        f"Texts to {_display_phone(number)} have been enabled for another account. "
        "A number gets the texts of one account only, so this account's notifications no longer go there as texts. "
        "You still get every one of them by email.\n\n"
        f"To get texts for this account again, invite the number on your [phone numbers page]({_phone_numbers_url()})."
    )
    _create_email(
        account_id, DISPLACED, f"Texts to {_display_phone(number)} now go to another account", body, event_id, now_ms
    )


def notify_decision_pending(account_id: int, number: str, event_id: int, now_ms: int) -> None:
    """To whom the texts went, or would have gone but for a STOP, when it became doubtful whose the number is."""
    body = (
        f"More than one account has had {_display_phone(number)}, and it is not clear which of them its texts are for now. "
        "Nothing is texted there until START from that phone answers a request, or an administrator decides. "
        "You still get every notification by email.\n\n"
        f"To get texts for this account, ask for them on your [phone numbers page]({_phone_numbers_url()})."
    )
    _create_email(
        account_id,
        DECISION_PENDING,
        f"Texts to {_display_phone(number)} wait until it is clear whose it is",
        body,
        event_id,
        now_ms,
    )


def notify_assigned(account_id: int, number: str, event_id: int, now_ms: int) -> None:
    """To whom an administrator gave the number's texts."""
    body = (
        f"An administrator has moved the texts for {_display_phone(number)} to this account: from now on the notifications "
        "of this account go there as texts too. You still get every one of them by email.\n\n"
        f"If that is not right, remove the number on your [phone numbers page]({_phone_numbers_url()}), "
        "or reply STOP to any of the texts."
    )
    _create_email(
        account_id, ASSIGNED, f"Texts to {_display_phone(number)} now come for this account", body, event_id, now_ms
    )


def request_number_confirmation(account_id: int, number: str, event_id: int, now_ms: int) -> None:
    body = (
        f"A text to {_display_phone(number)} could not be delivered: the number cannot receive texts, or is no longer in use. "
        "Until you have looked at it, no more texts go there. You still get every notification by email.\n\n"
        f"Please confirm or change the number on your [phone numbers page]({_phone_numbers_url()})."
    )
    _create_email(
        account_id, NUMBER_CHECK, f"Please check your phone number {_display_phone(number)}", body, event_id, now_ms
    )


def _create_sms(
    account_id: int,
    number: str,
    kind: TextKind,
    subject: str,
    words: RenderedBlock,
    note: str,
    event_id: int,
    now_ms: int,
) -> None:
    """`note` follows the words of the block. The page of an account that only asks for texts does not show it."""
    left = f"{words.text} {note}".strip()
    body = mark_literal(words.text if kind is TextKind.INVITATION else left)
    communication_id = _create_communication(account_id, kind, subject, body, event_id, now_ms, words)
    if communication_id is None:
        return
    refusal = _skip_reason(account_id, number, kind, now_ms)
    state = {"state": "skipped", "reason": str(refusal)} if refusal else {"state": "ready"}
    row = {
        "channel": "sms",
        "address": number,
        "body": left,
        "segments": sms_segments.measure_sms(left).segments,
        **state,
    }
    _create_delivery(communication_id, row, now_ms)


def _skip_reason(account_id: int, number: str, kind: TextKind, now_ms: int) -> Reason | None:
    if not app_settings.resolve_current_gateway().switches.feature_on:
        return Reason.FEATURE_OFF
    numbers = numbers_for_routing([account_id]).get(account_id, [])
    own = next((candidate for candidate in numbers if candidate.phone == number), None)
    return (
        (routing.send_block_reason(kind, own, True) or _repeat_reason(account_id, number, kind, now_ms))
        if own
        else Reason.NO_NUMBER
    )


def _repeat_reason(account_id: int, number: str, kind: TextKind, now_ms: int) -> Reason | None:
    """A machine that says STOP and START in turn is not welcomed for ever. Who asks for an invitation is a person."""
    if kind != TextKind.WELCOME:
        return None
    said = text_times_since(account_id, number, kind, now_ms - auto_reply_limits.DAY_MS)
    return Reason.DUPLICATE_WELCOME if auto_reply_limits.repeat_refusal(said, now_ms) else None


def _create_email(account_id: int, kind: str, subject: str, body: str, event_id: int, now_ms: int) -> None:
    """All of these are about texts, so none leaves while texts are off (docs/consent-rules.md#feature-switch)."""
    communication_id = _create_communication(account_id, kind, subject, body, event_id, now_ms)
    if communication_id is not None:
        off = not app_settings.resolve_current_gateway().switches.feature_on
        state = {"state": "skipped", "reason": str(Reason.FEATURE_OFF)} if off else {"state": "ready"}
        address = db.session.get_one(Account, account_id).email
        _create_delivery(communication_id, {"channel": "email", "address": address, **state}, now_ms)


def _create_communication(
    account_id: int, kind: str, subject: str, body: str, event_id: int, now_ms: int, words: RenderedBlock | None = None
) -> int | None:
    """Its id; None when this event was followed so already. `words` are the content block's that it is made from."""
    row = {
        "account_id": account_id,
        "kind": str(kind),
        "consent_event_id": event_id,
        "subject": subject,
        "body": body,
        "content_block": words.key if words else None,
        "content_block_version": words.version if words else None,
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

"""Texts and emails that follow an event of the ledger: invitation, welcome, and notices to the accounts concerned.

They are communications without a send. Each follows an event once, inside the caller's transaction.
"""

from sqlalchemy import select

from portal.accounts.account_language import language_of_account, recipient_language
from portal.accounts.tables.accounts import Account
from portal.accounts.tables.phone_numbers import numbers_for_routing, phones_with
from portal.consent.rules import auto_reply_limits, keywords
from portal.content import content_blocks
from portal.content.links import new_link_token
from portal.content.rules.content_block_checks import (
    INVITATION_TEXT,
    MOVE_NOTICES,
    WELCOME_TEXT,
)
from portal.content.rules.markdown_literals import mark_literal
from portal.core.context import settings
from portal.core.extensions import db
from portal.core.rules import routing
from portal.core.rules.phone import format_phone
from portal.core.rules.routing import Reason, TextKind
from portal.core.translation import N_, Language, use_language
from portal.core.translation import gettext as _
from portal.messages.rules import sms_segments
from portal.messages.tables.communications import Communication, Delivery, text_times_since, urgent_delivery
from portal.settings import app_settings

DISPLACED, DECISION_PENDING, ASSIGNED, NUMBER_CHECK = "displaced", "decision_pending", "texts_assigned", "number_check"
NUMBER_DEACTIVATED = "number_deactivated"
_TEXTS = {
    TextKind.INVITATION: (N_("Invitation to get texts at %(phone)s"), INVITATION_TEXT),
    TextKind.WELCOME: (N_("Texts are on for %(phone)s"), WELCOME_TEXT),
}
"""Subject and content block."""
_EMAILS = {
    DISPLACED: (
        N_("Texts to %(phone)s now go to another account"),
        N_(
            "Texts to %(phone)s have been turned on for another account. A number gets the texts of one account only, "
            "so notifications of this account no longer go there as texts. You still get all of them by email.\n\n"
            "To get texts for this account again, invite the number on your [phone numbers page](%(url)s)."
        ),
    ),
    DECISION_PENDING: (
        N_("Texts to %(phone)s are on hold until we know which account should get them"),
        N_(
            "More than one account has had %(phone)s, and it is not clear which of them should get its texts. "
            "That phone gets no texts until it replies START to an invitation, or an administrator decides. "
            "You still get every notification by email.\n\n"
            "To get texts for this account, ask for them on your [phone numbers page](%(url)s)."
        ),
    ),
    ASSIGNED: (
        N_("Texts to %(phone)s now go to this account"),
        N_(
            "An administrator has moved the texts for %(phone)s to this account. From now on, notifications of this "
            "account go there as texts too. You still get all of them by email.\n\n"
            "If that is not right, remove the number on your [phone numbers page](%(url)s), "
            "or reply STOP to any of the texts."
        ),
    ),
    NUMBER_CHECK: (
        N_("Please check your phone number %(phone)s"),
        N_(
            "We could not deliver a text to %(phone)s: the number cannot receive texts, or is no longer in use. "
            "No more texts go there until you have checked it. You still get every notification by email.\n\n"
            "Please confirm or change the number on your [phone numbers page](%(url)s)."
        ),
    ),
    NUMBER_DEACTIVATED: (
        N_("Is %(phone)s still your phone number?"),
        N_(
            "Your carrier reports that %(phone)s is no longer in service, so it may soon be somebody else’s. "
            "No texts go there any more. You still get every notification by email.\n\n"
            "If it is still your number, confirm it on your [phone numbers page](%(url)s), and then text START from "
            "that phone to get texts again. If not, remove it there and add your new number."
        ),
    ),
}
"""Subject and body. The account that loses the texts does not learn which account gets them."""


def send_text(
    kind: TextKind, account_id: int, number: str, event_id: int, now_ms: int, displaces_account: bool = False
) -> None:
    """Text an invitation or a welcome. `displaces_account`: START ends, or ended, the texts of another account.

    The invitation says so, but not the page of the account that asks: anybody can add a stranger's number
    (docs/consent-rules.md#whose-number-it-is).
    """
    title, block_key = _TEXTS[kind]
    language = language_of_account(account_id)
    with use_language(language):
        subject = _(title, phone=_display_phone(number))
    block = content_blocks.render_block(block_key, number, language.code)
    text = f"{block.text} {MOVE_NOTICES[block_key][language.code]}" if displaces_account else block.text
    communication = Communication(
        account_id=account_id,
        kind=kind,
        consent_event_id=event_id,
        subject=subject,
        body=mark_literal(block.text if kind is TextKind.INVITATION else text),
        content_block=block.key,
        content_block_version=block.version,
    )
    skip_reason, segments = _skip_reason(account_id, number, kind, now_ms), sms_segments.measure_sms(text).segments
    _add_once(communication, urgent_delivery("sms", number, now_ms, skip_reason, body=text, segments=segments), now_ms)


def send_email(kind: str, account_id: int, number: str, event_id: int, now_ms: int) -> None:
    """Send an email about texts, but not while texts are off (docs/consent-rules.md#feature-switch)."""
    values = {"phone": _display_phone(number), "url": f"{settings().public_url}/MyAccount/PhoneNumbers"}
    with use_language(language_of_account(account_id)):  # which need not be that of whoever acts
        subject, body = (_(text, **values) for text in _EMAILS[kind])
    communication = Communication(
        account_id=account_id, kind=kind, consent_event_id=event_id, subject=subject, body=body
    )
    account = db.session.get_one(Account, account_id)
    skip_reason = None if account.active else Reason.ACCOUNT_DEACTIVATED
    delivery = urgent_delivery("email", account.email, now_ms, skip_reason if _is_feature_on() else Reason.FEATURE_OFF)
    _add_once(communication, delivery, now_ms)


def language_of_number(number: str, words: str = "") -> Language:
    """That which the account that gets its texts has chosen, or its accounts if they agree; else that of `words`."""
    phones = phones_with(number)
    chosen = {phone.account.language for phone in phones if phone.receives_sms == phones[0].receives_sms} - {""}
    return recipient_language(chosen.pop() if len(chosen) == 1 else keywords.language_of_words(words))


def _skip_reason(account_id: int, number: str, kind: TextKind, now_ms: int) -> Reason | None:
    """Do not keep welcoming a machine that alternates STOP and START. A person asks for each invitation."""
    if not _is_feature_on():
        return Reason.FEATURE_OFF
    phones = numbers_for_routing([account_id]).get(account_id, [])
    phone = next((candidate for candidate in phones if candidate.phone == number), None)
    if phone is None:
        return Reason.NO_NUMBER
    is_active = db.session.get_one(Account, account_id).active
    reason = routing.send_block_reason(kind, phone, is_active=is_active)
    if reason or kind != TextKind.WELCOME:
        return reason
    welcome_times_ms = text_times_since(account_id, number, kind, now_ms - auto_reply_limits.DAY_MS)
    return Reason.DUPLICATE_WELCOME if auto_reply_limits.repeat_refusal(welcome_times_ms, now_ms) else None


def _is_feature_on() -> bool:
    return app_settings.resolve_current_gateway().switches.feature_on


def _add_once(communication: Communication, delivery: Delivery, now_ms: int) -> None:
    """Add them, unless the event already has this communication; the ledger's lock keeps others from adding it."""
    unique = {name: getattr(communication, name) for name in ("consent_event_id", "kind", "account_id")}
    if db.session.scalar(select(Communication.id).filter_by(**unique)) is not None:
        return
    communication.token, communication.created_at_ms = new_link_token(), now_ms
    communication.deliveries = [delivery]
    db.session.add(communication)
    db.session.flush()


def _display_phone(number: str) -> str:
    return format_phone(number, settings().region)

"""Answer a text from a phone: by text to that phone, and by email and in the history of an account with the number.

The phone began the conversation, so an answer needs no START; a STOP forbids it
(docs/consent-rules.md#answers-by-administrators).
"""

import re
from dataclasses import dataclass, replace

from portal.accounts.account_language import language_of_account
from portal.accounts.tables.accounts import Account
from portal.accounts.tables.phone_numbers import phone_state, phones_with
from portal.consent.manual_consent import lock_reply, require_undecided
from portal.consent.rules.consent_labels import ANSWERED
from portal.consent.rules.keywords import ReplyCategory
from portal.consent.tables import ledger
from portal.consent.tables.inbound_messages import InboundMessage
from portal.content.links import new_link_token
from portal.content.rules.markdown_literals import mark_literal
from portal.content.text_content import link_problem, named_text
from portal.core.actor import Actor
from portal.core.audit_log import record_audit_entry
from portal.core.context import settings
from portal.core.errors import ActionRefused, InvalidInput
from portal.core.extensions import db
from portal.core.rules import routing, text_input
from portal.core.rules.limits import quiet_hours
from portal.core.rules.phone import is_e164
from portal.core.rules.routing import DEACTIVATED_CODE, Mode, RecipientPhone, RoutingDecision, TextKind
from portal.core.transaction import transaction
from portal.core.translation import gettext as _
from portal.core.translation import use_language
from portal.gateways import queue
from portal.messages.rules import sms_segments
from portal.messages.rules.sms_lookalikes import transliterate
from portal.messages.tables.communications import Communication, Delivery, urgent_delivery
from portal.sends.deferred_texts import quiet_hours_lookup
from portal.settings import app_settings
from portal.settings.live_gateway import live_sender

MAX_ANSWER_LENGTH = 480
"""Three segments: what is longer belongs in an email or a call."""
NO_ACCOUNT = 0
_VALID_MS = 86_400_000
"""A text that answers a question of the day before is confusing; the email has long arrived."""
_PARAGRAPH = re.compile(r"\n\s*\n")


@dataclass(frozen=True)
class AnswerAccount:
    """An active account with the number. If `is_confirmed`, the phone has agreed to texts for this account."""

    account: Account
    is_confirmed: bool


@dataclass(frozen=True)
class AnswerPlan:
    """What an answer would do now: whether a text goes, and to which accounts an email can go."""

    routing: RoutingDecision
    mode: Mode
    accounts: tuple[AnswerAccount, ...]

    @property
    def account_ids(self) -> list[int]:
        return [row.account.id for row in self.accounts]

    @property
    def is_possible(self) -> bool:
        return self.routing.will_send or bool(self.accounts)

    @property
    def suggested_id(self) -> int | None:
        """`NO_ACCOUNT` if there is none. None if a person must choose."""
        confirmed = [row.account.id for row in self.accounts if row.is_confirmed]
        if not self.accounts:
            return NO_ACCOUNT
        return confirmed[0] if len(confirmed) == 1 else None


@dataclass(frozen=True)
class AnswerDraft:
    """`account_id` is `NO_ACCOUNT` for an answer by text only, None if nothing was chosen.

    `by_text` is whether the page said that a text goes.
    """

    text: str
    account_id: int | None
    by_text: bool


def can_be_answered(message: InboundMessage) -> bool:
    return is_e164(message.from_number) and message.classification != ReplyCategory.START


def plan_answer(message: InboundMessage, author_id: int, now_ms: int, account_id: int | None = None) -> AnswerPlan:
    """Quiet hours are those of the account chosen or suggested, else of the author."""
    phones = [phone for phone in phones_with(message.from_number) if phone.account.active]
    accounts = tuple(AnswerAccount(phone.account, _has_consented(phone.account_id, message)) for phone in phones)
    gateway = app_settings.resolve_current_gateway(now_ms)
    switches = gateway.switches
    plan = AnswerPlan(RoutingDecision(False), switches.mode, accounts)
    chosen_id = plan.suggested_id if account_id is None else account_id
    zone = db.session.get_one(Account, chosen_id if chosen_id in plan.account_ids else author_id).timezone
    is_subject = quiet_hours.is_subject_to_quiet_hours(TextKind.ANSWER, True, switches.mode)
    ends_ms = quiet_hours_lookup(gateway.limits.quiet_hours, now_ms)
    quiet_until_ms = ends_ms(message.from_number, zone) if is_subject else None
    recipient = _recipient(message.from_number)
    decision = routing.route_text(switches, True, [recipient], quiet_until_ms, now_ms + _VALID_MS)
    return replace(plan, routing=decision)


def clean_answer(text: str) -> str:
    """Without invisible characters, with look-alikes that cost no more segments."""
    return transliterate(text_input.clean_lines(text)).text.strip()


def answer_text(text: str) -> str:
    """What the phone gets; "" if there is no answer yet."""
    answer = clean_answer(text)
    return named_text(answer) if answer else ""


def answer_reply(message_id: int, draft: AnswerDraft, actor: Actor, now_ms: int) -> int:
    """Return the id of the communication. The same answer to the same account again changes nothing.

    Raises `InvalidInput` (fields `body` and `account`) or `ActionRefused`, also if somebody has already decided.
    """
    author_id = actor.account_id or 0
    with transaction():
        message = lock_reply(message_id)
        if message.answer_id and _is_repeated(message, draft, author_id):
            return message.answer_id
        require_undecided(message)
        plan = plan_answer(message, author_id, now_ms, draft.account_id)
        _check(message, plan, draft)
        communication = _create(message, plan, draft, author_id, now_ms)
        message.answer_id, message.decision = communication.id, ANSWERED
        message.decided_by_id, message.decided_at_ms = author_id, now_ms
        channels = " and ".join(row.channel for row in communication.deliveries if row.state != "skipped")
        detail = {"communication": communication.id, "by": channels.replace("sms", "text")}
        record_audit_entry("reply_answered", f"reply {message_id}", author_id, now_ms, **detail)
        communication_id = communication.id
    for job in ("drain_sms", "drain_email"):
        queue.enqueue(settings().redis_url, job)
    return communication_id


def _has_consented(account_id: int, message: InboundMessage) -> bool:
    return message.from_number in ledger.consented_numbers(account_id)


def _recipient(number: str) -> RecipientPhone:
    """The phone as the recipient of an answer, whichever account gets its notifications."""
    state = phone_state(number)
    is_opted_out = state is not None and state.stopped_at_ms is not None
    is_unreachable = state is not None and state.unreachable_at_ms is not None
    is_deactivated = state is not None and state.unreachable_code == DEACTIVATED_CODE
    return RecipientPhone(number, True, False, is_opted_out, is_unreachable, is_deactivated)


def _is_repeated(message: InboundMessage, draft: AnswerDraft, author_id: int) -> bool:
    answer = db.session.get_one(Communication, message.answer_id)
    is_same_account = answer.account_id == (draft.account_id or author_id)
    is_same_text = (answer.subject, answer.body) == _history_words(message, draft, answer.account_id)
    return message.decided_by_id == author_id and is_same_account and is_same_text


def _check(message: InboundMessage, plan: AnswerPlan, draft: AnswerDraft) -> None:
    if not can_be_answered(message) or not plan.is_possible:
        raise ActionRefused(_("This reply cannot be answered from here."))
    if errors := _errors(plan, draft):
        raise InvalidInput(errors)
    if plan.routing.will_send != draft.by_text:
        raise ActionRefused(_changed_route(plan.routing.will_send))


def _changed_route(will_send: bool) -> str:
    if will_send:
        return _(
            "Nothing was sent: this phone can now get texts, which it could not when you opened this page. Check, then "
            "send again."
        )
    return _(
        "Nothing was sent: this phone can no longer get texts, which it could when you opened this page. Check, then "
        "send again."
    )


def _errors(plan: AnswerPlan, draft: AnswerDraft) -> dict[str, str]:
    text, errors = clean_answer(draft.text), {}
    if not text:
        errors["body"] = _("Write the answer.")
    if len(text) > MAX_ANSWER_LENGTH:
        errors["body"] = _(
            "Keep the answer to %(limit)s characters; this has %(count)s.", limit=MAX_ANSWER_LENGTH, count=len(text)
        )
    if problem := link_problem(text):
        errors["body"] = problem
    if draft.account_id not in [NO_ACCOUNT, *plan.account_ids]:
        errors["account"] = _("Choose whose question this is.")
    elif draft.account_id == NO_ACCOUNT and not plan.routing.will_send:
        errors["account"] = _("No text can go to this phone. Choose an account to answer by email.")
    return errors


def _create(
    message: InboundMessage, plan: AnswerPlan, draft: AnswerDraft, author_id: int, now_ms: int
) -> Communication:
    """An answer for no account is kept among the communications of its author, as test texts are."""
    text, sender = clean_answer(draft.text), live_sender()
    subject, body = _history_words(message, draft, draft.account_id or author_id)
    is_current_sender = sender is not None and message.to_number in sender.sender_assignment.sender_keys
    communication = Communication(
        account_id=draft.account_id or author_id,
        kind=TextKind.ANSWER,
        requested_sender=message.to_number if is_current_sender else None,
        subject=subject,
        body=body,
        token=new_link_token(),
        created_at_ms=now_ms,
        read_at_ms=None if draft.account_id else now_ms,
        is_only_marked_read=not draft.account_id,
        deliveries=[_text_delivery(message, plan.routing, text, now_ms)],
    )
    if draft.account_id:
        address = db.session.get_one(Account, draft.account_id).email
        communication.deliveries.append(urgent_delivery("email", address, now_ms))
    db.session.add(communication)
    db.session.flush()
    return communication


def _history_words(message: InboundMessage, draft: AnswerDraft, account_id: int) -> tuple[str, str]:
    """Subject and body, in the language of the account that keeps them."""
    with use_language(language_of_account(account_id)):
        return _("Our answer to your text"), _markdown(message.body, clean_answer(draft.text))


def _text_delivery(message: InboundMessage, decision: RoutingDecision, text: str, now_ms: int) -> Delivery:
    text, skip_reason = answer_text(text), None if decision.will_send else decision.reason
    segments = sms_segments.measure_sms(text).segments
    delivery = urgent_delivery("sms", message.from_number, now_ms, skip_reason, body=text, segments=segments)
    delivery.reason, delivery.sms_expires_at_ms = decision.reason or "", now_ms + _VALID_MS
    delivery.due_at_ms = decision.deferred_until_ms or now_ms
    return delivery


def _markdown(question: str, answer: str) -> str:
    quote = _paragraphs(text_input.clean_lines(question)).replace("\n", "\n> ")
    values = {"question": quote, "answer": _paragraphs(answer)}
    return _("You wrote to us by text:\n\n> %(question)s\n\nOur answer:\n\n%(answer)s", **values)


def _paragraphs(text: str) -> str:
    """The words as they are, whatever they mean in Markdown."""
    paragraphs = [part.splitlines() for part in _PARAGRAPH.split(text.strip())]
    return "\n\n".join("  \n".join(map(mark_literal, lines)) for lines in paragraphs)

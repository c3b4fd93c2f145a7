"""Export consent evidence: who opted in or out, when and how, and what was in force when each text left."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog

from portal.accounts.tables.accounts import Account
from portal.accounts.tables.phone_numbers import phones_with
from portal.consent.rules import consent_labels
from portal.consent.rules.auto_reply_limits import NO_REPLY_LABELS
from portal.consent.rules.consent_labels import content_block_title
from portal.consent.rules.consent_state import (
    ConsentState,
    LedgerEvent,
    apply_event,
    enabling_event_id,
    known_at,
    sorted_events,
)
from portal.consent.tables import inbound_messages, ledger, ledger_search
from portal.consent.tables.inbound_messages import InboundMessage
from portal.consent.tables.ledger import ConsentEvent
from portal.consent.tables.ledger_search import LedgerFilter
from portal.core.audit_log import record_audit_entry
from portal.core.extensions import db
from portal.core.rules.phone import mask_phone
from portal.core.rules.routing import TextKind
from portal.core.transaction import transaction
from portal.core.translation import N_
from portal.core.translation import gettext as _
from portal.messages.tables.communications import Attempt, Communication, Delivery

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class DescribedEvent:
    """An event for readers. `actor` is who acted, `text_label` says what the event's text is, `effect` what it changed.

    `highlights` are the `notes` to show at once: how a text was interpreted, and why it was not answered.
    """

    event: ConsentEvent
    label: str
    tone: str
    account: Account | None
    actor: str
    text_label: str
    wording: str
    source: str
    notes: tuple[str, ...]
    effect: str
    auto_reply: "AutoReply | None" = None
    highlights: tuple[str, ...] = ()

    @property
    def account_label(self) -> str:
        """The name and the number of the account that the event is about."""
        accounts = {} if self.account is None else {self.account.id: self.account}
        return "" if self.event.account_id is None else _account_label(self.event.account_id, accounts)


@dataclass(frozen=True)
class AutoReply:
    """The portal's own answer to STOP or HELP, sent where Twilio does not answer."""

    text: str
    wording: str
    wording_version: int | None


@dataclass(frozen=True)
class SentText:
    """A text that was sent, and the event that allowed it by what the ledger held then (None if none did).

    An answer needs no event: `answered_message_sid` is the phone's own text.
    `text` is exactly what was sent; `wording` names the content block or the template it was made from.
    """

    sent_at_ms: int
    number: str
    subject: str
    text: str
    wording: str
    wording_version: int | None
    message_sid: str
    account_number: str
    account_name: str
    authorised_by_event_id: int | None
    answered_message_sid: str = ""

    @property
    def authority(self) -> str:
        """What allowed the text; "" if nothing did."""
        if self.answered_message_sid:
            return _("the incoming text %(sid)s, which this text answers", sid=self.answered_message_sid)
        return _("event %(event)s", event=str(self.authorised_by_event_id)) if self.authorised_by_event_id else ""

    @property
    def account(self) -> str:
        return f"{self.account_name}, {self.account_number}"


@dataclass(frozen=True)
class ConsentExport:
    """`subject` says what the export is about, `last_id` is the last event in it. `time_zone` is the reader's."""

    subject: str
    filter: LedgerFilter
    exported_by: str
    exported_at_ms: int
    time_zone: str
    event_count: int
    last_id: int
    last_digest: str

    def events(self) -> Iterator[DescribedEvent]:
        """In the order of the ledger, read a page at a time."""
        for events in ledger_search.iterate_pages(self.filter, self.last_id):
            yield from describe_events(events)

    def sent_texts(self) -> Iterator[SentText]:
        """All texts sent to a single number or account; for other exports only invitations and welcomes."""
        if self.filter.number:
            yield from sent_texts_to(self.filter.number)
        elif self.filter.account_id is not None:
            for number in ledger_search.numbers_of_account(self.filter.account_id):
                yield from sent_texts_to(number, self.filter.account_id)
        else:
            for events in ledger_search.iterate_pages(self.filter, self.last_id):
                for row in ledger_search.texts_following([event.id for event in events]):
                    yield _sent_text(*row, row[2].consent_event_id)


def build_export(
    ledger_filter: LedgerFilter,
    subject: str,
    file_format: str,
    exported_by: str,
    time_zone: str,
    now_ms: int,
    actor_id: int | None = None,
) -> ConsentExport:
    """Prepare an export that can be read once. The logs record who exported, without the phone number."""
    last_id, last_digest = ledger.chain_head()
    count, filter_kind = ledger_search.count_matching(ledger_filter), _filter_kind(ledger_filter)
    with transaction():
        detail = {**_audit_detail(ledger_filter), "format": file_format, "events": count}
        record_audit_entry("consent_exported", "the consent ledger", actor_id, now_ms, **detail)
    _log.info("consent exported", actor=exported_by, file_format=file_format, filter=filter_kind, events=count)
    return ConsentExport(subject, ledger_filter, exported_by, now_ms, time_zone, count, last_id, last_digest)


def describe_events(events: Sequence[ConsentEvent]) -> list[DescribedEvent]:
    histories = ledger.events_by_number([event.number for event in events])
    effects = {id: effect for history in histories.values() for id, effect in _effects_by_event(history).items()}
    ids = {id for event in events for id in (event.account_id, event.actor_id)}
    ids |= {effects[event.id][1] for event in events if event.id in effects}
    accounts = ledger_search.accounts_by_id({id for id in ids if id is not None})
    messages = inbound_messages.auto_reply_outcomes([event.message_sid for event in events if event.message_sid])
    return [
        _describe(event, effects.get(event.id, ("", None)), accounts, messages.get(event.message_sid))
        for event in events
    ]


def sent_texts_to(number: str, account_id: int | None = None) -> list[SentText]:
    """The newest texts, oldest first, each with what was in force then; for one account or for all.

    An event that happened before a text left but was recorded afterwards was not known then, so it does not count.
    """
    events, recorded_at_ms = ledger.events_of(number), ledger_search.recorded_at_by_event([number])
    ids = {event.account_id for event in events} | {phone.account_id for phone in phones_with(number)}
    account_ids = {id for id in ids if id is not None and account_id in (None, id)}
    rows, texts = ledger_search.texts_sent_to(number, account_ids, with_all_answers=account_id is None), []
    answered = inbound_messages.answered_provider_ids(number)
    for attempt, delivery, communication in rows:
        known = known_at(attempt.started_at_ms, events, recorded_at_ms)
        authorised_by = communication.consent_event_id or enabling_event_id(known, communication.account_id)
        text = _sent_text(attempt, delivery, communication, authorised_by)
        texts.append(replace(text, answered_message_sid=answered.get(communication.id, "")))
    return texts


def _sent_text(attempt: Attempt, delivery: Delivery, communication: Communication, event_id: int | None) -> SentText:
    title, version = content_block_title(communication.content_block or ""), communication.content_block_version
    if communication.send is not None:
        template, version = communication.send.version.template, communication.send.version.number
        title = _("Template %(name)s (%(key)s)", name=template.name, key=template.key)
    if communication.kind == TextKind.ANSWER:
        title = _("Answer by an administrator")
    return SentText(
        sent_at_ms=attempt.started_at_ms,
        number=attempt.destination,
        subject=communication.subject,
        text=delivery.body,
        wording=title,
        wording_version=version,
        message_sid=attempt.provider_id or "",
        account_number=communication.account.external_id,
        account_name=communication.account.name,
        authorised_by_event_id=event_id,
    )


def _effects_by_event(events: Sequence[LedgerEvent]) -> dict[int, tuple[str, int | None]]:
    """Map events to what they changed, and to the account that gets the texts afterwards."""
    state, effects = ConsentState(), {}
    for event in sorted_events(events):
        before, state = state, apply_event(state, event)
        effects[event.id] = consent_labels.describe_effect(before, state), state.recipient_id
    return effects


def _describe(
    event: ConsentEvent, effect: tuple[str, int | None], accounts: dict[int, Account], message: InboundMessage | None
) -> DescribedEvent:
    label = consent_labels.event_label(event.kind, event.source)
    interpreted = [_(consent_labels.INTERPRETED_NOTE)] if event.detail.get("interpreted") else []
    no_reply = [_(NO_REPLY_LABELS[message.no_reply_reason])] if message and message.no_reply_reason else []
    return DescribedEvent(
        event=event,
        label=label.text,
        tone=label.tone,
        account=accounts.get(event.account_id or 0),
        actor=_actor_label(event, accounts),
        text_label=consent_labels.event_text_label(event.kind, event.source),
        wording=content_block_title(event.content_block),
        source=_(consent_labels.SOURCE_LABELS.get(event.source, event.source)),
        notes=(*consent_labels.event_notes(event.detail), *no_reply),
        effect=effect[0].format(_account_label(effect[1], accounts)),
        auto_reply=_auto_reply(message) if message and message.auto_reply is not None else None,
        highlights=(*interpreted, *no_reply),
    )


def _auto_reply(message: InboundMessage) -> AutoReply:
    title = content_block_title(message.auto_reply_content_block or "")
    return AutoReply(message.auto_reply or "", title, message.auto_reply_content_block_version)


def _actor_label(event: ConsentEvent, accounts: dict[int, Account]) -> str:
    if event.actor_id is None:
        return _(consent_labels.SYSTEM_ACTORS.get(event.source, N_("Command line")))
    return _account_label(event.actor_id, accounts)


def _account_label(account_id: int | None, accounts: Mapping[int, Account]) -> str:
    account = accounts.get(account_id or 0)
    return f"{account.name}, {account.external_id}" if account else _("an account that was deleted")


def _filter_kind(ledger_filter: LedgerFilter) -> str:
    if ledger_filter.number:
        return "number"
    if ledger_filter.account_id is not None:
        return "account"
    return "search" if ledger_filter.query or ledger_filter.kind else "period"


def _audit_detail(ledger_filter: LedgerFilter) -> dict[str, Any]:
    """What was exported, without a search, which may hold a phone number."""
    account = db.session.get(Account, ledger_filter.account_id or 0)
    detail = {
        "number": mask_phone(ledger_filter.number) if ledger_filter.number else "",
        "account": account.external_id if account else "",
        "account_id": ledger_filter.account_id,
        "from": ledger_filter.since_day,
        "to": ledger_filter.until_day,
    }
    return {name: value for name, value in detail.items() if value}

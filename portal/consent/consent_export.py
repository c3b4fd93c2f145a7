"""What the ledger says, told in full: who agreed or left, when, by what words; what was in force when a text left."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import structlog

from portal.accounts.tables.accounts import Account
from portal.accounts.tables.phone_numbers import phones_with
from portal.consent.rules import consent_labels
from portal.consent.rules.auto_reply_limits import NO_REPLY_LABELS
from portal.consent.rules.consent_state import ConsentState, LedgerEvent, apply_event, derive_state, sorted_events
from portal.consent.tables import inbound_messages, ledger, ledger_search
from portal.consent.tables.inbound_messages import InboundMessage
from portal.consent.tables.ledger import ConsentEvent
from portal.consent.tables.ledger_search import LedgerFilter
from portal.messages.tables.communications import Attempt, Communication, Delivery

_log = structlog.get_logger(__name__)
_SYSTEM_ACTORS = {"handset": "The phone itself", "twilio": "Twilio"}


@dataclass(frozen=True)
class DescribedEvent:
    """An event in words. `by` is who acted, `text_label` what the event's own words are, `effect` what it changed.

    `remarks` are those of the `notes` that must be seen at once: how a text was read, and why it was not answered.
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
        """The account it is about, in words."""
        people = {} if self.account is None else {self.account.id: self.account}
        return "" if self.event.account_id is None else _account_label(self.event.account_id, people)


@dataclass(frozen=True)
class AutoReply:
    """Our own text back to a handset that said STOP or HELP, where Twilio does not answer."""

    text: str
    wording: str
    content_block_version: int | None


@dataclass(frozen=True)
class SentText:
    """A text that left for the number, and the event that allowed it as the ledger stood then (None: none did).

    `text` is the text's own, to the letter; `wording` names the content block or the template they were made from.
    """

    sent_at_ms: int
    number: str
    subject: str
    text: str
    wording: str
    content_block_version: int | None
    message_sid: str
    account_number: str
    account_name: str
    authorised_by_event_id: int | None

    @property
    def account(self) -> str:
        return f"{self.account_name}, {self.account_number}"


@dataclass(frozen=True)
class ConsentExport:
    """An export: what it is about, and up to which event of the ledger. `zone` is the reader's."""

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
        """Of a single number or account the texts that left for it; of more, the invitations and welcomes."""
        if self.filter.number:
            yield from sent_texts_to(self.filter.number)
        elif self.filter.account_id is not None:
            for number in ledger_search.numbers_of_account(self.filter.account_id):
                yield from sent_texts_to(number, self.filter.account_id)
        else:
            for events in ledger_search.iterate_pages(self.filter, self.last_id):
                for left in ledger_search.texts_following([event.id for event in events]):
                    yield _sent_text(*left, left[2].consent_event_id)


def build_export(
    ledger_filter: LedgerFilter, subject: str, file_format: str, exported_by: str, zone: str, now_ms: int
) -> ConsentExport:
    """An export to be read once. Who took it is noted in the log, without the number."""
    last_id, last_digest = ledger.chain_head()
    found = ConsentExport(
        subject,
        ledger_filter,
        exported_by,
        now_ms,
        zone,
        ledger_search.count_matching(ledger_filter),
        last_id,
        last_digest,
    )
    _log.info(
        "consent exported",
        by=exported_by,
        file_format=file_format,
        kind=_filter_kind(ledger_filter),
        events=found.event_count,
    )
    return found


def describe_events(events: Sequence[ConsentEvent]) -> list[DescribedEvent]:
    stories = ledger.events_by_number([event.number for event in events])
    effects = {id: effect for story in stories.values() for id, effect in _effects_by_event(story).items()}
    shown = [effects[event.id] for event in events if event.id in effects]
    ids = {id for event in events for id in (event.account_id, event.actor_id)} | {holder for _, holder in shown}
    people = ledger_search.accounts_by_id({id for id in ids if id is not None})
    answered = inbound_messages.auto_reply_outcomes([event.message_sid for event in events if event.message_sid])
    return [
        _describe(event, effects.get(event.id, ("", None)), people, answered.get(event.message_sid)) for event in events
    ]


def sent_texts_to(number: str, account_id: int | None = None) -> list[SentText]:
    """The newest of them, oldest first, each with what was in force then; of one account or of all.

    What was said earlier and written down only afterwards was not known when the text left.
    """
    story, written = ledger.events_of(number), ledger_search.recorded_at_by_event(number)
    people = {event.account_id for event in story} | {phone.account_id for phone in phones_with(number)}
    whose = {id for id in people if id is not None and account_id in (None, id)}
    found = []
    for attempt, delivery, communication in ledger_search.texts_sent_to(number, whose):
        left_ms = attempt.started_at_ms
        then = derive_state(event for event in story if max(event.at_ms, written.get(event.id, 0)) <= left_ms)
        agreed = (
            then.enabled_by_event_id if then.receives_texts and then.recipient_id == communication.account_id else None
        )
        found.append(_sent_text(attempt, delivery, communication, communication.consent_event_id or agreed))
    return found


def _sent_text(attempt: Attempt, delivery: Delivery, communication: Communication, allowed_by: int | None) -> SentText:
    wording, version = _wording_source(communication)
    return SentText(
        sent_at_ms=attempt.started_at_ms,
        number=attempt.destination,
        subject=communication.subject,
        text=delivery.body,
        wording=wording,
        content_block_version=version,
        message_sid=attempt.provider_id or "",
        account_number=communication.account.external_id,
        account_name=communication.account.name,
        authorised_by_event_id=allowed_by,
    )


def _wording_source(communication: Communication) -> tuple[str, int | None]:
    """The content block or template, in words, and its version; neither is known of what left before they were kept."""
    if communication.send is not None:
        version = communication.send.version
        return f"Template {version.template.name} ({version.template.key})", version.number
    return consent_labels.content_block_title(communication.content_block or ""), communication.content_block_version


def _effects_by_event(story: Sequence[LedgerEvent]) -> dict[int, tuple[str, int | None]]:
    """Event to what it changed, and whose the texts are after it."""
    now, found = ConsentState(), {}
    for event in sorted_events(story):
        before, now = now, apply_event(now, event)
        found[event.id] = consent_labels.describe_effect(before, now), now.recipient_id
    return found


def _describe(
    event: ConsentEvent, effect: tuple[str, int | None], people: dict[int, Account], answered: InboundMessage | None
) -> DescribedEvent:
    words = consent_labels.event_label(event.kind, event.source)
    interpreted = [consent_labels.INTERPRETED_NOTE] if event.detail.get("interpreted") else []
    return DescribedEvent(
        event=event,
        label=words.text,
        tone=words.tone,
        account=people.get(event.account_id or 0),
        actor=_actor_label(event, people),
        text_label=consent_labels.event_text_label(event.kind, event.source),
        wording=consent_labels.content_block_title(event.wording),
        source=consent_labels.SOURCE_LABELS.get(event.source, event.source),
        notes=(*consent_labels.event_notes(event.detail), *_no_reply_notes(answered)),
        effect=effect[0].format(_account_label(effect[1], people)),
        auto_reply=_auto_reply(answered) if answered and answered.auto_reply is not None else None,
        highlights=(*interpreted, *_no_reply_notes(answered)),
    )


def _auto_reply(message: InboundMessage) -> AutoReply:
    title = consent_labels.content_block_title(message.auto_reply_wording or "")
    return AutoReply(message.auto_reply or "", title, message.auto_reply_wording_version)


def _no_reply_notes(message: InboundMessage | None) -> list[str]:
    return [NO_REPLY_LABELS[message.no_reply_reason]] if message and message.no_reply_reason in NO_REPLY_LABELS else []


def _actor_label(event: ConsentEvent, people: dict[int, Account]) -> str:
    if event.actor_id is None:
        return _SYSTEM_ACTORS.get(event.source, "Somebody at the shell")
    return _account_label(event.actor_id, people)


def _account_label(account_id: int | None, people: Mapping[int, Account]) -> str:
    found = people.get(account_id or 0)
    return f"{found.name}, {found.external_id}" if found else "an account that is no more"


def _filter_kind(sought: LedgerFilter) -> str:
    if sought.number:
        return "number"
    if sought.account_id is not None:
        return "account"
    return "search" if sought.query or sought.kind else "period"

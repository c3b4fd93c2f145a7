"""What the ledger says, told in full: who agreed or left, when, by what words; what was in force when a text left."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import structlog

from portal.domain import consent_words
from portal.domain.answering import NO_ANSWER_WORDS
from portal.domain.consent import Event, Standing, after, in_order, standing
from portal.models import consent as ledger
from portal.models import consent_search, inbound
from portal.models.account import Account
from portal.models.communication import Attempt, Communication, Delivery
from portal.models.consent import ConsentEvent
from portal.models.consent_search import Sought
from portal.models.inbound import InboundMessage
from portal.models.phone import carriers

_log = structlog.get_logger(__name__)
_NOBODY_SIGNED_IN = {"handset": "The phone itself", "twilio": "Twilio"}


@dataclass(frozen=True)
class Told:
    """An event in words. `by` is who acted, `words_are` what the event's own words are, `effect` what it changed.

    `remarks` are those of the `notes` that must be seen at once: how a text was read, and why it was not answered.
    """

    event: ConsentEvent
    words: str
    tone: str
    account: Account | None
    by: str
    words_are: str
    wording: str
    source: str
    notes: tuple[str, ...]
    effect: str
    answer: "Answer | None" = None
    remarks: tuple[str, ...] = ()

    @property
    def whose(self) -> str:
        """The account it is about, in words."""
        people = {} if self.account is None else {self.account.id: self.account}
        return "" if self.event.account_id is None else _name(self.event.account_id, people)


@dataclass(frozen=True)
class Answer:
    """Our own text back to a handset that said STOP or HELP, where Twilio does not answer."""

    words: str
    wording: str
    wording_version: int | None


@dataclass(frozen=True)
class TextLeft:
    """A text that left for the number, and the event that allowed it as the ledger stood then (None: none did).

    `words` are the text's own, to the letter; `wording` names the content block or the template they were made from.
    """

    at_ms: int
    number: str
    subject: str
    words: str
    wording: str
    wording_version: int | None
    message_sid: str
    account_number: str
    account_name: str
    allowed_by: int | None

    @property
    def account(self) -> str:
        return f"{self.account_name}, {self.account_number}"


@dataclass(frozen=True)
class Evidence:
    """An export: what it is about, and up to which event of the ledger. `zone` is the reader's."""

    about: str
    sought: Sought
    made_by: str
    made_at_ms: int
    zone: str
    count: int
    last_id: int
    last_digest: str

    def told(self) -> Iterator[Told]:
        """In the order of the ledger, read a page at a time."""
        for events in consent_search.all_of(self.sought, self.last_id):
            yield from tell(events)

    def texts(self) -> Iterator[TextLeft]:
        """Of a single number or account the texts that left for it; of more, the invitations and welcomes."""
        if self.sought.number:
            yield from texts_left(self.sought.number)
        elif self.sought.account_id is not None:
            for number in consent_search.numbers_about(self.sought.account_id):
                yield from texts_left(number, self.sought.account_id)
        else:
            for events in consent_search.all_of(self.sought, self.last_id):
                for left in consent_search.texts_after([event.id for event in events]):
                    yield _text(*left, left[2].consent_event_id)


def gather(sought: Sought, about: str, form: str, made_by: str, zone: str, now_ms: int) -> Evidence:
    """An export to be read once. Who took it is noted in the log, without the number."""
    last_id, last_digest = ledger.head()
    found = Evidence(about, sought, made_by, now_ms, zone, consent_search.count(sought), last_id, last_digest)
    _log.info("evidence of consent was exported", by=made_by, form=form, kind=_kind(sought), events=found.count)
    return found


def tell(events: Sequence[ConsentEvent]) -> list[Told]:
    stories = ledger.stories([event.number for event in events])
    effects = {id: effect for story in stories.values() for id, effect in _effects(story).items()}
    shown = [effects[event.id] for event in events if event.id in effects]
    ids = {id for event in events for id in (event.account_id, event.actor_id)} | {holder for _, holder in shown}
    people = consent_search.accounts({id for id in ids if id is not None})
    answered = inbound.answered_or_not([event.message_sid for event in events if event.message_sid])
    return [
        _told(event, effects.get(event.id, ("", None)), people, answered.get(event.message_sid)) for event in events
    ]


def texts_left(number: str, account_id: int | None = None) -> list[TextLeft]:
    """The newest of them, oldest first, each with what was in force then; of one account or of all.

    What was said earlier and written down only afterwards was not known when the text left.
    """
    story, written = ledger.story(number), consent_search.written_down(number)
    people = {event.account_id for event in story} | {phone.account_id for phone in carriers(number)}
    whose = {id for id in people if id is not None and account_id in (None, id)}
    found = []
    for attempt, delivery, communication in consent_search.texts_to(number, whose):
        left_ms = attempt.started_at_ms
        then = standing(event for event in story if max(event.at_ms, written.get(event.id, 0)) <= left_ms)
        agreed = then.enabled_by if then.gets_texts and then.holder == communication.account_id else None
        found.append(_text(attempt, delivery, communication, communication.consent_event_id or agreed))
    return found


def _text(attempt: Attempt, delivery: Delivery, communication: Communication, allowed_by: int | None) -> TextLeft:
    wording, version = _made_from(communication)
    return TextLeft(
        at_ms=attempt.started_at_ms,
        number=attempt.sent_to,
        subject=communication.subject,
        words=delivery.body,
        wording=wording,
        wording_version=version,
        message_sid=attempt.provider_id or "",
        account_number=communication.account.external_id,
        account_name=communication.account.name,
        allowed_by=allowed_by,
    )


def _made_from(communication: Communication) -> tuple[str, int | None]:
    """The content block or template, in words, and its version; neither is known of what left before they were kept."""
    if communication.send is not None:
        version = communication.send.version
        return f"Template {version.template.name} ({version.template.key})", version.number
    return consent_words.wording_title(communication.wording or ""), communication.wording_version


def _effects(story: Sequence[Event]) -> dict[int, tuple[str, int | None]]:
    """Event to what it changed, and whose the texts are after it."""
    now, found = Standing(), {}
    for event in in_order(story):
        before, now = now, after(now, event)
        found[event.id] = consent_words.effect(before, now), now.holder
    return found


def _told(
    event: ConsentEvent, effect: tuple[str, int | None], people: dict[int, Account], answered: InboundMessage | None
) -> Told:
    words = consent_words.event_words(event.kind, event.source)
    interpreted = [consent_words.INTERPRETED] if event.detail.get("interpreted") else []
    return Told(
        event=event,
        words=words.words,
        tone=words.tone,
        account=people.get(event.account_id or 0),
        by=_by(event, people),
        words_are=consent_words.words_are(event.kind, event.source),
        wording=consent_words.wording_title(event.wording),
        source=consent_words.SOURCES.get(event.source, event.source),
        notes=(*consent_words.notes(event.detail), *_no_answer(answered)),
        effect=effect[0].format(_name(effect[1], people)),
        answer=_answer(answered) if answered and answered.answer is not None else None,
        remarks=(*interpreted, *_no_answer(answered)),
    )


def _answer(message: InboundMessage) -> Answer:
    title = consent_words.wording_title(message.answer_wording or "")
    return Answer(message.answer or "", title, message.answer_version)


def _no_answer(message: InboundMessage | None) -> list[str]:
    return [NO_ANSWER_WORDS[message.no_answer]] if message and message.no_answer in NO_ANSWER_WORDS else []


def _by(event: ConsentEvent, people: dict[int, Account]) -> str:
    if event.actor_id is None:
        return _NOBODY_SIGNED_IN.get(event.source, "Somebody at the shell")
    return _name(event.actor_id, people)


def _name(account_id: int | None, people: Mapping[int, Account]) -> str:
    found = people.get(account_id or 0)
    return f"{found.name}, {found.external_id}" if found else "an account that is no more"


def _kind(sought: Sought) -> str:
    if sought.number:
        return "number"
    if sought.account_id is not None:
        return "account"
    return "search" if sought.words or sought.kind else "period"

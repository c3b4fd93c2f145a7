"""Test texts: one text to one number, followed step by step, to prove the configuration before anybody is texted."""

from dataclasses import dataclass, replace
from typing import Literal

from sqlalchemy import select

from portal.actions import settings as app_settings
from portal.actions.errors import Refused, invalid
from portal.actions.expansion import URGENT, new_token
from portal.actions.timeline import explain_state
from portal.actions.transaction import transaction
from portal.context import settings
from portal.domain import sms, text_input
from portal.domain.diagnosis import sender_words
from portal.domain.lane_words import override_stopped
from portal.domain.literals import mark
from portal.domain.magic_numbers import is_magic
from portal.domain.phone import PhoneError, is_e164, masked, to_e164
from portal.domain.provider_codes import TOO_MANY, Again, explain
from portal.domain.routing import SIMULATED_MODES, Mode, Switches, TextKind
from portal.domain.sms_plain import lighten
from portal.domain.status import STATES
from portal.extensions import db
from portal.gateways import queue
from portal.models.communication import Attempt, Communication, Delivery
from portal.models.phone import is_stopped

_LONGEST = 1_600
_SUBJECT = "Test text"
_TOKENS_REFUSED = ("20003", "20005", "20006", "20404", "401")
_DEFAULT_BODY = "{organisation}: this is a test text. If you can read it, the gateway works."

Verdict = Literal["ok", "failing", "waiting", "unknown", "skipped"]


@dataclass(frozen=True)
class Step:
    name: str
    verdict: Verdict
    words: str = ""


@dataclass(frozen=True)
class Trace:
    """What was asked and answered, without secrets and with the number masked."""

    request: str
    answer: str


def default_body() -> str:
    return _DEFAULT_BODY.format(organisation=settings().organisation)


def why_no_test() -> str | None:
    """Why no test text can leave now; None when one can. Also while the feature is off."""
    return _why_none(app_settings.gateway().switches)


def _why_none(switches: Switches) -> str | None:
    if not switches.configured:
        return _NOT_SET_UP
    stopped = app_settings.stopped_override(switches)
    return f"The override is on: {override_stopped(stopped)}" if stopped else None


_NOT_SET_UP = "The gateway is not set up: credentials or sending number are missing, or the override has no number."


def senders() -> tuple[str, ...]:
    """The numbers of ours that a test text can be sent from; none where there is no choice."""
    door = app_settings.gateway().door_for_tests
    return door.sender.numbers if door and door.sender.more_numbers else ()


def send_test(typed: str, body: str, actor_id: int, now_ms: int, sender: str = "", confirmed: str = "") -> int:
    """The id of the communication to follow. Raises `Invalid` (`number`, `sender`, `body`), `Unconfirmed` or `Refused`.

    `sender` is one of `senders`, or "" for the number that the person is always texted from.
    """
    switches = app_settings.gateway().switches
    refusal = _why_none(switches)
    if refusal is not None:
        raise Refused(refusal)
    number, words = _checked(typed, body, sender, confirmed)
    communication = Communication(
        account_id=actor_id,
        kind=TextKind.TEST,
        asked_mode=replace(switches, feature_on=True).mode,
        asked_sender=sender or None,
        subject=_SUBJECT,
        body=mark(words),
        token=new_token(),
        created_at_ms=now_ms,
        read_at_ms=now_ms,
    )
    with transaction() as session:
        session.add(communication)
        session.flush()
        communication_id = communication.id
        times = dict.fromkeys(("next_at_ms", "state_at_ms", "created_at_ms"), now_ms)
        text = {"address": number, "body": words, "segments": sms.weigh(words).segments}
        session.add(
            Delivery(communication_id=communication_id, channel="sms", lane=URGENT, state="ready", **text, **times)
        )
    queue.ring(settings().redis_url, "drain_sms")
    return communication_id


def recent_tests(limit: int) -> list[Communication]:
    """Newest first."""
    query = select(Communication).where(Communication.kind == TextKind.TEST)
    return list(db.session.scalars(query.order_by(Communication.id.desc()).limit(limit)))


def last_number(account_id: int) -> str:
    """Where this person sent the last test text; "" when there is none. Drills have numbers of their own."""
    query = select(Delivery.address).join(Communication)
    wanted = (Communication.account_id == account_id, Communication.subject == _SUBJECT)
    query = query.where(Communication.kind == TextKind.TEST, *wanted).order_by(Communication.id.desc())
    return db.session.scalar(query.limit(1)) or ""


def steps(communication: Communication) -> list[Step]:
    """From the settings to the last receipt; what is not reached yet waits."""
    (delivery,) = communication.deliveries
    attempt = delivery.made_attempts[-1] if delivery.made_attempts else None
    way = masked(delivery.address)
    if communication.asked_sender:
        way = f"{way}, from {sender_words(communication.asked_sender)}"
    first = [Step("Settings valid", "ok"), Step("Number valid", "ok", way)]
    return [*first, *_at_twilio(delivery, attempt), *_receipts(delivery, attempt)]


def is_over(communication: Communication) -> bool:
    return all(STATES[delivery.state].final for delivery in communication.deliveries)


def calls(communication: Communication) -> list[Attempt]:
    """The attempts in which the provider was asked."""
    (delivery,) = communication.deliveries
    return [attempt for attempt in delivery.made_attempts if attempt.outcome != "released"]


def trace(attempt: Attempt) -> Trace:
    lines = [
        f"POST /2010-04-01/Accounts/{attempt.account_sid}/Messages.json",
        "Authorization: Basic ••••",
        f"To={masked(attempt.sent_to)}",
        f"From={attempt.sender}",
        "Body=(the text above)",
        f"StatusCallback={settings().public_url}/webhooks/twilio/status?attempt={attempt.id}",
    ]
    answer = (attempt.answer or "").replace(attempt.sent_to, masked(attempt.sent_to))
    status = f"HTTP {attempt.http_status}" if attempt.http_status else "No answer"
    return Trace("\n".join(lines), f"{status}\n{answer}".strip())


def _checked(typed: str, body: str, sender: str, confirmed: str) -> tuple[str, str]:
    errors: dict[str, str] = {}
    unsure = ""
    number, words = text_input.code(typed), lighten(body.replace("\x00", "")).text.strip()
    try:
        number = _number(number, confirmed)
    except PhoneError as error:
        errors["number"], unsure = str(error), getattr(error, "number", "")
    if not words or len(words) > _LONGEST:
        errors["body"] = f"Write 1 to {_LONGEST:,} characters; this has {len(words):,}."
    if sender and sender not in senders():
        errors["sender"] = "This number sends no more: the settings were changed. Choose another."
    if not errors and is_stopped(number):
        errors["number"] = "This number replied STOP, so not even a test text goes there."
    if errors:
        raise invalid(errors, unsure)
    return number, words


def _number(typed: str, confirmed: str) -> str:
    """In test mode a magic number is let through, whatever the rules for people's numbers say."""
    if app_settings.gateway().switches.test_mode and is_e164(typed) and is_magic(typed):
        return typed
    return to_e164(typed, settings().region, confirmed)


def _at_twilio(delivery: Delivery, attempt: Attempt | None) -> list[Step]:
    if delivery.state == "skipped":
        return [Step("Message accepted", "failing", f"It was not sent. {explain_state(delivery)[2]}")]
    kept_back = why_no_test() if delivery.state == "ready" else None
    if kept_back is not None:
        return [Step("Credentials accepted", "waiting"), Step("Message accepted", "failing", kept_back)]
    if attempt is None or not attempt.outcome:
        return [Step("Credentials accepted", "waiting"), Step("Message accepted", "waiting")]
    words = _words(attempt)
    if attempt.outcome == "accepted":
        simulated = " Simulated: nothing real left." if attempt.mode in SIMULATED_MODES else ""
        return [
            Step("Credentials accepted", "ok", _where_to(attempt)),
            Step("Message accepted", "ok", f"{attempt.provider_id or ''}.{simulated}"),
        ]
    if attempt.outcome == "refused" and _refuses_account(attempt.error_code):
        return [Step("Credentials accepted", "failing", words), Step("Message accepted", "skipped")]
    if attempt.outcome == "refused":
        return [Step("Credentials accepted", "ok", _where_to(attempt)), Step("Message accepted", "failing", words)]
    if attempt.outcome == "not_processed" and attempt.error_code not in ("", TOO_MANY):
        return [Step("Credentials accepted", "ok", _where_to(attempt)), Step("Message accepted", "waiting", words)]
    next_step = "It is tried again." if attempt.outcome == "not_processed" else "It is looked into."
    return [Step("Credentials accepted", "unknown", words), Step("Message accepted", "waiting", next_step)]


def _refuses_account(code: str) -> bool:
    return code in _TOKENS_REFUSED or explain(code).of_account


def _words(attempt: Attempt) -> str:
    """What the answer means; of a rehearsed error there is nothing to mend, and it is not tried again."""
    if not attempt.error_code:
        return attempt.detail
    known = explain(attempt.error_code, attempt.detail)
    if attempt.outcome == "refused" and attempt.mode in SIMULATED_MODES:
        return f"{known.sentence} (code {known.code}) Simulated: nothing real left."
    remedy = Again.ITSELF.value if attempt.outcome == "not_processed" else known.remedy
    return f"{known.sentence} {remedy} (code {known.code})"


def _where_to(attempt: Attempt) -> str:
    if attempt.mode in (Mode.OVERRIDE, Mode.TEST_OVERRIDE):
        return f"Override: it went to {masked(attempt.sent_to)} instead."
    return ""


def _receipts(delivery: Delivery, attempt: Attempt | None) -> list[Step]:
    if attempt is not None and attempt.mode in SIMULATED_MODES:
        return [Step(name, "skipped", "None comes in test mode.") for name in ("First receipt", "Final receipt")]
    state = STATES[delivery.state]
    if state.final and not delivery.receipts:
        asked = f"None came. Twilio was asked, and says: {state.words}." if state.group == "delivered" else ""
        return [Step(name, "skipped", asked) for name in ("First receipt", "Final receipt")]
    first = Step("First receipt", "ok" if delivery.receipts else "waiting")
    if not state.final:
        return [first, Step("Final receipt", "waiting")]
    known = explain(delivery.error_code)
    words = f"{known.sentence} {known.remedy} (code {known.code})" if delivery.error_code else state.words
    return [first, Step("Final receipt", "ok" if state.group == "delivered" else "failing", words)]

"""Test texts: one text to one number, followed step by step, to prove the configuration before anybody is texted."""

from dataclasses import dataclass, replace
from typing import Literal

from sqlalchemy import select

from portal.accounts.tables.phone_numbers import is_stopped
from portal.content.links import new_link_token
from portal.content.rules.markdown_literals import mark_literal
from portal.core.context import settings
from portal.core.errors import ActionRefused, invalid_input
from portal.core.extensions import db
from portal.core.rules import text_input
from portal.core.rules.delivery_status import STATES, DeliveryState, StateGroup
from portal.core.rules.lanes import Lane
from portal.core.rules.phone import PhoneError, is_e164, mask_phone, to_e164
from portal.core.rules.routing import SIMULATED_MODES, Mode, Switches, TextKind
from portal.core.transaction import transaction
from portal.gateways import queue
from portal.gateways.rules.magic_numbers import is_magic_number
from portal.gateways.rules.provider_codes import TOO_MANY_REQUESTS, ResendAdvice, explain_error_code
from portal.messages.rules import sms_segments
from portal.messages.rules.attempt_outcome import AttemptOutcome
from portal.messages.rules.lane_labels import override_opted_out_message
from portal.messages.rules.sms_lookalikes import transliterate
from portal.messages.tables.communications import Attempt, Communication, Delivery
from portal.messages.timeline import describe_state
from portal.operations.rules.checks import sender_label
from portal.settings import app_settings

_MAX_BODY_LENGTH = 1_600
_SUBJECT = "Test text"
_AUTHENTICATION_CODES = ("20003", "20005", "20006", "20404", "401")
_DEFAULT_BODY = "{organisation}: this is a test text. If you can read it, the gateway works."

Verdict = Literal["ok", "failing", "waiting", "unknown", "skipped"]


@dataclass(frozen=True)
class MessageStep:
    name: str
    verdict: Verdict
    message: str = ""


@dataclass(frozen=True)
class ApiTrace:
    """What was asked and answered, without secrets and with the number masked."""

    request: str
    answer: str


def default_body() -> str:
    return _DEFAULT_BODY.format(organisation=settings().organisation)


def test_blocker() -> str | None:
    """Why no test text can leave now; None when one can. Also while the feature is off."""
    return _blocker(app_settings.resolve_current_gateway().switches)


def _blocker(switches: Switches) -> str | None:
    if not switches.configured:
        return _NOT_CONFIGURED
    stopped = app_settings.opted_out_override(switches)
    return f"The override is on: {override_opted_out_message(stopped)}" if stopped else None


_NOT_CONFIGURED = "The gateway is not set up: credentials or sending number are missing, or the override has no number."


def available_senders() -> tuple[str, ...]:
    """The numbers of ours that a test text can be sent from; none where there is no choice."""
    door = app_settings.resolve_current_gateway().test_message_route
    return door.sender.from_numbers if door and door.sender.additional_numbers else ()


def send_test_text(
    number_input: str, body: str, actor_id: int, now_ms: int, sender: str = "", confirmed_number: str = ""
) -> int:
    """The id of the communication to follow. Raises `Invalid` (`number`, `sender`, `body`), `Unconfirmed` or `Refused`.

    `sender` is one of `available_senders`, or "" for the number that the person is always texted from.
    """
    switches = app_settings.resolve_current_gateway().switches
    refusal = _blocker(switches)
    if refusal is not None:
        raise ActionRefused(refusal)
    number, words = _validate(number_input, body, sender, confirmed_number)
    communication = Communication(
        account_id=actor_id,
        kind=TextKind.TEST,
        requested_mode=replace(switches, feature_on=True).mode,
        requested_sender=sender or None,
        subject=_SUBJECT,
        body=mark_literal(words),
        token=new_link_token(),
        created_at_ms=now_ms,
        read_at_ms=now_ms,
    )
    with transaction() as session:
        session.add(communication)
        session.flush()
        communication_id = communication.id
        session.add(_ready_delivery(communication_id, number, words, now_ms))
    queue.enqueue(settings().redis_url, "drain_sms")
    return communication_id


def _ready_delivery(communication_id: int, phone_number: str, text: str, now_ms: int) -> Delivery:
    return Delivery(
        communication_id=communication_id,
        channel="sms",
        lane=Lane.URGENT,
        state=DeliveryState.READY,
        address=phone_number,
        body=text,
        segments=sms_segments.measure_sms(text).segments,
        **dict.fromkeys(("due_at_ms", "state_changed_at_ms", "created_at_ms"), now_ms),
    )


def recent_test_texts(limit: int) -> list[Communication]:
    """Newest first."""
    query = select(Communication).where(Communication.kind == TextKind.TEST)
    return list(db.session.scalars(query.order_by(Communication.id.desc()).limit(limit)))


def last_number(account_id: int) -> str:
    """Where this person sent the last test text; "" when there is none. Drills have numbers of their own."""
    query = select(Delivery.address).join(Communication)
    wanted = (Communication.account_id == account_id, Communication.subject == _SUBJECT)
    query = query.where(Communication.kind == TextKind.TEST, *wanted).order_by(Communication.id.desc())
    return db.session.scalar(query.limit(1)) or ""


def delivery_steps(communication: Communication) -> list[MessageStep]:
    """From the settings to the last receipt; what is not reached yet waits."""
    (delivery,) = communication.deliveries
    attempt = delivery.attempt_history[-1] if delivery.attempt_history else None
    way = mask_phone(delivery.address)
    if communication.requested_sender:
        way = f"{way}, from {sender_label(communication.requested_sender)}"
    first = [MessageStep("Settings valid", "ok"), MessageStep("Number valid", "ok", way)]
    return [*first, *_provider_steps(delivery, attempt), *_receipt_steps(delivery, attempt)]


def is_over(communication: Communication) -> bool:
    return all(STATES[delivery.state].final for delivery in communication.deliveries)


def provider_calls(communication: Communication) -> list[Attempt]:
    """The attempts in which the provider was asked."""
    (delivery,) = communication.deliveries
    return [attempt for attempt in delivery.attempt_history if attempt.outcome != "released"]


def trace_attempt(attempt: Attempt) -> ApiTrace:
    lines = [
        f"POST /2010-04-01/Accounts/{attempt.account_sid}/Messages.json",
        "Authorization: Basic ••••",
        f"To={mask_phone(attempt.destination)}",
        f"From={attempt.sender}",
        "Body=(the text above)",
        f"StatusCallback={settings().public_url}/webhooks/twilio/status?attempt={attempt.id}",
    ]
    answer = (attempt.provider_response or "").replace(attempt.destination, mask_phone(attempt.destination))
    status = f"HTTP {attempt.http_status}" if attempt.http_status else "No answer"
    return ApiTrace("\n".join(lines), f"{status}\n{answer}".strip())


def _validate(number_input: str, body: str, sender: str, confirmed_number: str) -> tuple[str, str]:
    errors: dict[str, str] = {}
    unsure = ""
    number, words = text_input.clean_code(number_input), transliterate(body.replace("\x00", "")).text.strip()
    try:
        number = _parse_number(number, confirmed_number)
    except PhoneError as error:
        errors["number"], unsure = str(error), getattr(error, "number", "")
    if not words or len(words) > _MAX_BODY_LENGTH:
        errors["body"] = f"Write 1 to {_MAX_BODY_LENGTH:,} characters; this has {len(words):,}."
    if sender and sender not in available_senders():
        errors["sender"] = "This number sends no more: the settings were changed. Choose another."
    if not errors and is_stopped(number):
        errors["number"] = "This number replied STOP, so not even a test text goes there."
    if errors:
        raise invalid_input(errors, unsure)
    return number, words


def _parse_number(number_input: str, confirmed_number: str) -> str:
    """In test mode a magic number is let through, whatever the rules for people's numbers say."""
    if (
        app_settings.resolve_current_gateway().switches.test_mode
        and is_e164(number_input)
        and is_magic_number(number_input)
    ):
        return number_input
    return to_e164(number_input, settings().region, confirmed_number)


def _provider_steps(delivery: Delivery, attempt: Attempt | None) -> list[MessageStep]:
    if delivery.state == DeliveryState.SKIPPED:
        return [MessageStep("Message accepted", "failing", f"It was not sent. {describe_state(delivery)[2]}")]
    kept_back = test_blocker() if delivery.state == DeliveryState.READY else None
    if kept_back is not None:
        return [MessageStep("Credentials accepted", "waiting"), MessageStep("Message accepted", "failing", kept_back)]
    if attempt is None or not attempt.outcome:
        return [MessageStep("Credentials accepted", "waiting"), MessageStep("Message accepted", "waiting")]
    words = _describe_attempt(attempt)
    if attempt.outcome == AttemptOutcome.ACCEPTED:
        simulated = " Simulated: nothing real left." if attempt.mode in SIMULATED_MODES else ""
        return [
            MessageStep("Credentials accepted", "ok", _override_notice(attempt)),
            MessageStep("Message accepted", "ok", f"{attempt.provider_id or ''}.{simulated}"),
        ]
    if attempt.outcome == AttemptOutcome.REJECTED and _is_account_error(attempt.error_code):
        return [MessageStep("Credentials accepted", "failing", words), MessageStep("Message accepted", "skipped")]
    if attempt.outcome == AttemptOutcome.REJECTED:
        return [
            MessageStep("Credentials accepted", "ok", _override_notice(attempt)),
            MessageStep("Message accepted", "failing", words),
        ]
    if attempt.outcome == AttemptOutcome.NOT_SENT and attempt.error_code not in ("", TOO_MANY_REQUESTS):
        return [
            MessageStep("Credentials accepted", "ok", _override_notice(attempt)),
            MessageStep("Message accepted", "waiting", words),
        ]
    next_step = "It is tried again." if attempt.outcome == AttemptOutcome.NOT_SENT else "It is looked into."
    return [
        MessageStep("Credentials accepted", "unknown", words),
        MessageStep("Message accepted", "waiting", next_step),
    ]


def _is_account_error(code: str) -> bool:
    return code in _AUTHENTICATION_CODES or explain_error_code(code).is_account_fault


def _describe_attempt(attempt: Attempt) -> str:
    """What the answer means; of a rehearsed error there is nothing to mend, and it is not tried again."""
    if not attempt.error_code:
        return attempt.detail
    known = explain_error_code(attempt.error_code, attempt.detail)
    if attempt.outcome == AttemptOutcome.REJECTED and attempt.mode in SIMULATED_MODES:
        return f"{known.sentence} (code {known.code}) Simulated: nothing real left."
    remedy = ResendAdvice.AUTOMATIC.value if attempt.outcome == AttemptOutcome.NOT_SENT else known.remedy
    return f"{known.sentence} {remedy} (code {known.code})"


def _override_notice(attempt: Attempt) -> str:
    if attempt.mode in (Mode.OVERRIDE, Mode.TEST_OVERRIDE):
        return f"Override: it went to {mask_phone(attempt.destination)} instead."
    return ""


def _receipt_steps(delivery: Delivery, attempt: Attempt | None) -> list[MessageStep]:
    if attempt is not None and attempt.mode in SIMULATED_MODES:
        return [MessageStep(name, "skipped", "None comes in test mode.") for name in ("First receipt", "Final receipt")]
    state = STATES[delivery.state]
    if state.final and not delivery.receipts:
        asked = f"None came. Twilio was asked, and says: {state.label}." if state.group == StateGroup.DELIVERED else ""
        return [MessageStep(name, "skipped", asked) for name in ("First receipt", "Final receipt")]
    first = MessageStep("First receipt", "ok" if delivery.receipts else "waiting")
    if not state.final:
        return [first, MessageStep("Final receipt", "waiting")]
    known = explain_error_code(delivery.error_code)
    words = f"{known.sentence} {known.remedy} (code {known.code})" if delivery.error_code else state.label
    return [first, MessageStep("Final receipt", "ok" if state.group == StateGroup.DELIVERED else "failing", words)]

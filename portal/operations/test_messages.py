"""Test texts: one text to one phone number, tracked step by step, to prove the setup before anybody is texted."""

from dataclasses import dataclass, replace
from typing import Literal

from sqlalchemy import select

from portal.accounts.tables.phone_numbers import is_stopped
from portal.content.links import new_link_token
from portal.content.rules.markdown_literals import mark_literal
from portal.content.text_content import link_problem, named_text, organisation_names
from portal.core.context import settings
from portal.core.errors import ActionRefused, invalid_input
from portal.core.extensions import db
from portal.core.rules import text_input
from portal.core.rules.delivery_status import STATES, DeliveryState, StateGroup
from portal.core.rules.phone import PhoneError, is_e164, mask_phone, to_e164
from portal.core.rules.routing import SIMULATED_MODES, Mode, Switches, TextKind
from portal.core.transaction import transaction
from portal.core.translation import N_
from portal.core.translation import gettext as _
from portal.gateways import job_reports, queue
from portal.gateways.job_reports import JobReports
from portal.gateways.rules.provider_codes import TOO_MANY_REQUESTS, ResendAdvice, explain_error_code
from portal.gateways.rules.twilio_magic_numbers import is_magic_number
from portal.gateways.rules.webhook_round_trip import STATUS_WEBHOOK_PATH
from portal.messages.rules import sms_segments
from portal.messages.rules.attempt_outcome import AttemptOutcome
from portal.messages.rules.lane_labels import override_opted_out_message
from portal.messages.rules.sms_lookalikes import transliterate
from portal.messages.tables.communications import Attempt, Communication, Delivery, urgent_delivery
from portal.messages.timeline import describe_state
from portal.operations.rules.checks import sender_label, with_code
from portal.settings import app_settings

_MAX_BODY_LENGTH = 1_600
_SUBJECT = N_("Test text")
_AUTHENTICATION_CODES = ("20003", "20005", "20006", "20404", "401")
_NOT_CONFIGURED = N_(
    "The gateway is not set up: credentials or sending number are missing, or the override has no number."
)
_STEPS = (
    *(N_("Settings valid"), N_("Number valid"), N_("Credentials accepted"), N_("Message accepted")),
    *(N_("First receipt"), N_("Final receipt")),
)
_SIMULATED_NOTICE = N_("Simulated: no real text was sent.")

Verdict = Literal["ok", "failing", "waiting", "unknown", "skipped"]
_Result = tuple[Verdict, str]
_OK: _Result = ("ok", "")
_WAITING: _Result = ("waiting", "")


@dataclass(frozen=True)
class MessageStep:
    """`name` is English, `message` is translated."""

    name: str
    verdict: Verdict
    message: str = ""


def default_body() -> str:
    name, _full_name = organisation_names()
    return _("%(organization)s: this is a test text. If you can read it, the gateway works.", organization=name)


def test_blocker() -> str | None:
    """Why no test text can be sent now, or None. Test texts can be sent while texts are switched off."""
    return _blocker(app_settings.resolve_current_gateway().switches)


def _blocker(switches: Switches) -> str | None:
    if not switches.configured:
        return _(_NOT_CONFIGURED)
    opted_out_number = app_settings.opted_out_override(switches)
    if not opted_out_number:
        return None
    return _("The override is on: %(problem)s", problem=override_opted_out_message(opted_out_number))


def available_senders() -> tuple[str, ...]:
    """The sending numbers to choose from; empty if there is only one."""
    route = app_settings.resolve_current_gateway().test_message_route
    return route.sender.from_numbers if route and route.sender.additional_numbers else ()


def send_test_text(
    number_input: str, body: str, actor_id: int, now_ms: int, sender: str = "", confirmed_number: str = ""
) -> int:
    """Returns the id of the communication. `sender` is one of `available_senders`, or "" for the usual one.

    Raises `InvalidInput` for `number`, `sender` and `body`, `NumberUnconfirmed` and `ActionRefused`.
    """
    switches = app_settings.resolve_current_gateway().switches
    blocker = _blocker(switches)
    if blocker is not None:
        raise ActionRefused(blocker)
    phone_number, text = _validate(number_input, body, sender, confirmed_number)
    communication = Communication(
        account_id=actor_id,
        kind=TextKind.TEST,
        requested_mode=replace(switches, feature_on=True).mode,
        requested_sender=sender or None,
        subject=_SUBJECT,
        body=mark_literal(text),
        token=new_link_token(),
        created_at_ms=now_ms,
        read_at_ms=now_ms,
        is_only_marked_read=True,
    )
    with transaction() as session:
        session.add(communication)
        session.flush()
        communication_id = communication.id
        segments = sms_segments.measure_sms(text).segments
        delivery = urgent_delivery("sms", phone_number, now_ms, body=text, segments=segments)
        delivery.communication_id = communication_id
        session.add(delivery)
    queue.enqueue(settings().redis_url, "drain_sms")
    return communication_id


def recent_test_texts(limit: int) -> list[Communication]:
    """Newest first."""
    query = select(Communication).where(Communication.kind == TextKind.TEST)
    return list(db.session.scalars(query.order_by(Communication.id.desc()).limit(limit)))


def last_number(account_id: int) -> str:
    """The phone number of the account's last test text, or "". Drills do not count."""
    query = select(Delivery.address).join(Communication)
    query = query.where(Communication.kind == TextKind.TEST, Communication.account_id == account_id)
    query = query.where(Communication.subject == _SUBJECT).order_by(Communication.id.desc())
    return db.session.scalar(query.limit(1)) or ""


def delivery_steps(communication: Communication) -> list[MessageStep]:
    """From the settings to the last receipt; a step that is not reached yet is waiting."""
    (delivery,) = communication.deliveries
    attempt = delivery.attempt_history[-1] if delivery.attempt_history else None
    route = mask_phone(delivery.address)
    if communication.requested_sender:
        sender = sender_label(communication.requested_sender)
        route = _("%(number)s, from %(sender)s", number=route, sender=sender)
    results: list[_Result] = [_OK, ("ok", route)]
    results += [*_provider_results(delivery, attempt), *_receipt_results(delivery, attempt)]
    return [MessageStep(name, *result) for name, result in zip(_STEPS, results, strict=True)]


def is_over(communication: Communication) -> bool:
    return all(STATES[delivery.state].final for delivery in communication.deliveries)


def jobs_since(at_ms: int) -> JobReports:
    """The jobs of the queue of texts that wait, run, or ended after that time."""
    reports = job_reports.list_jobs(settings().redis_url, "sms")
    return replace(reports, jobs=tuple(job for job in reports.jobs if (job.ended_at_ms or at_ms) >= at_ms))


def api_traces(communication: Communication) -> list[tuple[str, str]]:
    """Each request to the provider and its response, without secrets and with the phone number masked."""
    (delivery,) = communication.deliveries
    return [_trace(attempt) for attempt in delivery.attempt_history if attempt.outcome != AttemptOutcome.RELEASED]


def _trace(attempt: Attempt) -> tuple[str, str]:
    masked_number = mask_phone(attempt.destination)
    request = [
        f"POST /2010-04-01/Accounts/{attempt.account_sid}/Messages.json",
        "Authorization: Basic ••••",
        f"To={masked_number}",
        f"From={attempt.sender}",
        _("Body=(the text above)"),
        f"StatusCallback={settings().public_url}{STATUS_WEBHOOK_PATH}?attempt={attempt.id}",
    ]
    response = (attempt.provider_response or "").replace(attempt.destination, masked_number)
    status = f"HTTP {attempt.http_status}" if attempt.http_status else _("No answer")
    return "\n".join(request), f"{status}\n{response}".strip()


def _validate(number_input: str, body: str, sender: str, confirmed_number: str) -> tuple[str, str]:
    errors: dict[str, str] = {}
    unconfirmed_number = ""
    phone_number, text = text_input.clean_code(number_input), transliterate(body.replace("\x00", "")).text.strip()
    try:
        phone_number = _parse_number(phone_number, confirmed_number)
    except PhoneError as error:
        errors["number"], unconfirmed_number = str(error), getattr(error, "number", "")
    if not text or len(text) > _MAX_BODY_LENGTH:
        rule = N_("Enter 1 to %(limit)s characters. This text has %(length)s.")
        errors["body"] = _(rule, limit=_MAX_BODY_LENGTH, length=len(text))
    elif problem := link_problem(text):
        errors["body"] = problem
    if sender and sender not in available_senders():
        errors["sender"] = _("The settings changed, and this number no longer sends texts. Choose another.")
    if not errors and is_stopped(phone_number):
        errors["number"] = _("This number is opted out, so it gets no texts, not even a test text.")
    if errors:
        raise invalid_input(errors, unconfirmed_number)
    return phone_number, named_text(text)


def _parse_number(number_input: str, confirmed_number: str) -> str:
    """Accept magic numbers, which are not valid phone numbers, in test mode."""
    is_test_mode = app_settings.resolve_current_gateway().switches.test_mode
    if is_test_mode and is_e164(number_input) and is_magic_number(number_input):
        return number_input
    return to_e164(number_input, settings().region, confirmed_number)


def _provider_results(delivery: Delivery, attempt: Attempt | None) -> tuple[_Result, _Result]:
    """Whether the provider accepted the credentials, and the message."""
    if delivery.state == DeliveryState.SKIPPED:
        return ("skipped", ""), ("failing", _("It was not sent. %(reason)s", reason=describe_state(delivery)[2]))
    blocker = test_blocker() if delivery.state == DeliveryState.READY else None
    if blocker is not None:
        return _WAITING, ("failing", blocker)
    return _attempt_results(attempt) if attempt is not None and attempt.outcome else (_WAITING, _WAITING)


def _attempt_results(attempt: Attempt) -> tuple[_Result, _Result]:
    outcome, explanation, credentials_ok = attempt.outcome, _explain_attempt(attempt), _OK
    if attempt.mode in (Mode.OVERRIDE, Mode.TEST_OVERRIDE):
        credentials_ok = ("ok", _("Override: it went to %(number)s instead.", number=mask_phone(attempt.destination)))
    if outcome == AttemptOutcome.ACCEPTED:
        notice = f" {_(_SIMULATED_NOTICE)}" if attempt.mode in SIMULATED_MODES else ""
        return credentials_ok, ("ok", f"{attempt.provider_id or ''}.{notice}")
    if outcome == AttemptOutcome.REJECTED and _is_account_error(attempt.error_code):
        return ("failing", explanation), ("skipped", "")
    if outcome == AttemptOutcome.REJECTED:
        return credentials_ok, ("failing", explanation)
    if outcome == AttemptOutcome.NOT_SENT and attempt.error_code not in ("", TOO_MANY_REQUESTS):
        return credentials_ok, ("waiting", explanation)
    is_retried = outcome == AttemptOutcome.NOT_SENT
    next_step = _("It will be tried again.") if is_retried else _("The portal is finding out whether it was sent.")
    return ("unknown", explanation), ("waiting", next_step)


def _is_account_error(code: str) -> bool:
    return code in _AUTHENTICATION_CODES or explain_error_code(code).is_account_fault


def _explain_attempt(attempt: Attempt) -> str:
    """A simulated error has no remedy and is not retried."""
    if not attempt.error_code:
        return _(attempt.detail)
    code = explain_error_code(attempt.error_code, attempt.detail)
    if attempt.outcome == AttemptOutcome.REJECTED and attempt.mode in SIMULATED_MODES:
        return f"{with_code(code)} {_(_SIMULATED_NOTICE)}"
    remedy = _(ResendAdvice.AUTOMATIC.value) if attempt.outcome == AttemptOutcome.NOT_SENT else code.remedy
    return with_code(code, remedy)


def _receipt_results(delivery: Delivery, attempt: Attempt | None) -> tuple[_Result, _Result]:
    if attempt is not None and attempt.mode in SIMULATED_MODES:
        return (("skipped", _("Test mode has no receipts.")),) * 2
    state = STATES[delivery.state]
    is_delivered = state.group == StateGroup.DELIVERED
    if state.final and not delivery.receipts:
        asked = _("None came. Twilio was asked for the status: %(status)s.", status=_(state.label))
        notice = asked if is_delivered else ""
        return (("skipped", notice),) * 2
    first = _OK if delivery.receipts else _WAITING
    if not state.final:
        return first, _WAITING
    code = explain_error_code(delivery.error_code)
    explanation = with_code(code, code.remedy) if delivery.error_code else _(state.label)
    return first, ("ok" if is_delivered else "failing", explanation)

"""Failure drills against the simulator: cause a fault, and show that the phone gets one text all the same."""

import contextlib
import os
import signal
import socket
from dataclasses import dataclass
from threading import Timer

from sqlalchemy import select, update

from portal.core.config import TWILIO_API_URL
from portal.core.context import settings
from portal.core.coordination import heartbeats
from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.core.rules.delivery_status import DeliveryState
from portal.core.rules.routing import Mode, TextKind
from portal.core.transaction import transaction
from portal.core.translation import gettext as _
from portal.gateways import simulator_control
from portal.gateways.simulator_control import SimulatorError
from portal.messages.tables.communications import Communication, Delivery
from portal.operations import test_messages
from portal.operations.rules.drill_scenarios import DRILLS, Drill, drill_faults, drill_number
from portal.settings import app_settings

_SUBJECT_PREFIX = "Drill: "
_DRILLS_BY_SUBJECT = {f"{_SUBJECT_PREFIX}{drill.name}": drill for drill in DRILLS.values()}
_HEARTBEAT_TIMEOUT_MS = 30_000
_KILL_DELAY_SECONDS = 3.0
"""By then the worker has claimed the text, and the simulator delays its response."""
_RECEIPT_CHECK_DELAY_MS = 4_000
_UNCONFIRMED_STATES = (DeliveryState.ACCEPTED, DeliveryState.SENT)


@dataclass(frozen=True)
class DrillOutcome:
    """`arrived_count` is how many texts reached the phone; None if the simulator does not answer."""

    drill: Drill
    arrived_count: int | None
    is_over: bool


def is_available() -> bool:
    """Only if the gateway is the simulator, because drills must not affect people."""
    api_url = settings().twilio_api_url
    return api_url != TWILIO_API_URL and simulator_control.is_simulator(api_url)


def start_drill(key: str, actor_id: int, now_ms: int) -> int:
    """Returns the id of the drill's communication. Raises `ActionRefused`."""
    drill = DRILLS.get(key)
    if drill is None or not is_available():
        raise ActionRefused(_("Drills need the simulator, which is not the gateway here."))
    if app_settings.resolve_current_gateway().switches.mode not in (Mode.LIVE, Mode.OFF):
        raise ActionRefused(_("Turn off test mode and the override first: the text of a drill has to reach its phone."))
    previous = _latest_drill()
    if previous and not test_messages.is_over(previous):
        raise ActionRefused(_("A drill is already running. Wait until it ends."))
    worker_pid = _sms_worker_pid(now_ms) if drill.kills_worker else None
    phone_number = drill_number(previous.id + 1 if previous else 0)
    communication_id = _send(drill, phone_number, actor_id, now_ms)
    if worker_pid is not None:
        timer = Timer(_KILL_DELAY_SECONDS, _kill, [worker_pid])
        timer.daemon = True
        timer.start()
    return communication_id


def display_subject(communication: Communication) -> str:
    """The stored subject of a test text or drill in the reader's language."""
    drill = _DRILLS_BY_SUBJECT.get(communication.subject)
    return _("Drill: %(name)s", name=_(drill.name)) if drill else _(communication.subject)


def drill_outcome(communication: Communication, now_ms: int) -> DrillOutcome | None:
    """Returns None if the communication is not a drill. Clears the faults of a drill that is over."""
    drill = _DRILLS_BY_SUBJECT.get(communication.subject) if communication.kind == TextKind.TEST else None
    if drill is None:
        return None
    is_over = test_messages.is_over(communication)
    (delivery,) = communication.deliveries
    if not is_over and drill.receipts.get("drop") and delivery.state in _UNCONFIRMED_STATES:
        _check_receipt_soon(delivery, now_ms)
    return DrillOutcome(drill, _count_arrived(delivery, is_over), is_over)


def _latest_drill() -> Communication | None:
    is_drill = Communication.subject.startswith(_SUBJECT_PREFIX, autoescape=True)
    query = select(Communication).where(Communication.kind == TextKind.TEST, is_drill)
    return db.session.scalar(query.order_by(Communication.id.desc()).limit(1))


def _send(drill: Drill, phone_number: str, actor_id: int, now_ms: int) -> int:
    try:
        simulator_control.set_faults(settings().twilio_api_url, drill_faults(drill, phone_number))
    except SimulatorError as error:
        raise ActionRefused(_(str(error))) from error
    text = f"Drill {now_ms}."
    communication_id = test_messages.send_test_text(phone_number, text, actor_id, now_ms, confirmed_number=phone_number)
    with transaction() as session:
        session.get_one(Communication, communication_id).subject = f"{_SUBJECT_PREFIX}{drill.name}"
    return communication_id


def _count_arrived(delivery: Delivery, is_over: bool) -> int | None:
    """Ask the simulator how many texts the phone got. Clear all faults if the drill is over."""
    api_url, phone_number, body = settings().twilio_api_url, delivery.address, delivery.body
    db.session.rollback()
    try:
        texts = simulator_control.messages_sent_to(api_url, phone_number)
        if is_over:
            simulator_control.clear_faults(api_url)
    except SimulatorError:
        return None
    return len([text for text in texts if text.get("body") == body])


def _check_receipt_soon(delivery: Delivery, now_ms: int) -> None:
    """Let maintenance fetch the status of the text now instead of after ten minutes."""
    if now_ms - delivery.state_changed_at_ms > _RECEIPT_CHECK_DELAY_MS:
        with transaction() as session:
            is_unconfirmed = Delivery.state.in_(_UNCONFIRMED_STATES)
            session.execute(update(Delivery).where(Delivery.id == delivery.id, is_unconfirmed).values(due_at_ms=now_ms))


def _sms_worker_pid(now_ms: int) -> int:
    """The process id of a running sms worker on this machine. Raises `ActionRefused`."""
    prefix = f"worker:sms:{socket.gethostname()}:"
    for heartbeat in heartbeats("worker:sms", now_ms - _HEARTBEAT_TIMEOUT_MS):
        if heartbeat.name.startswith(prefix):
            return int(heartbeat.name.removeprefix(prefix))
    raise ActionRefused(_("No worker for texts is running on this machine, so the drill cannot stop one."))


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)

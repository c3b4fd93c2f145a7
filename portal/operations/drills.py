"""Failure drills against the simulator: something goes wrong on purpose, and the page shows that one text came."""

import os
import signal
import socket
from dataclasses import dataclass
from threading import Timer

from sqlalchemy import select, update

from portal.core.config import TWILIO_API_URL
from portal.core.context import settings
from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.core.process_tables import heartbeats
from portal.core.rules.delivery_status import DeliveryState
from portal.core.rules.routing import Mode, TextKind
from portal.core.transaction import transaction
from portal.gateways import simulator_control
from portal.gateways.simulator_control import SimulatorError
from portal.messages.tables.communications import Communication, Delivery
from portal.operations import test_messages
from portal.operations.rules.drill_scenarios import DRILLS, Drill, drill_faults, drill_number
from portal.settings import app_settings

_SUBJECT_PREFIX = "Drill: "
_HEARTBEAT_FRESH_MS = 30_000
_KILL_DELAY_SECONDS = 3.0
_POLL_AFTER_MS = 4_000


@dataclass(frozen=True)
class DrillOutcome:
    """`arrived` counts the texts that reached the phone; None when the simulator cannot be asked."""

    drill: Drill
    communication: Communication
    arrived: int | None
    is_over: bool


def is_available() -> bool:
    """Only where the gateway is the simulator: nothing may go wrong on purpose for people."""
    api_url = settings().twilio_api_url
    return api_url != TWILIO_API_URL and simulator_control.is_simulator(api_url)


def start_drill(key: str, actor_id: int, now_ms: int) -> int:
    """The id of the drill's communication. Raises `Refused`."""
    drill = DRILLS.get(key)
    if drill is None or not is_available():
        raise ActionRefused("Drills run against the simulator only, and it is not the gateway here.")
    before = _recent_drills(1)
    if app_settings.resolve_current_gateway().switches.mode not in (Mode.LIVE, Mode.OFF):
        raise ActionRefused(
            "Switch test mode and override off first: a drill follows a text that really reaches its phone."
        )
    if before and not test_messages.is_over(before[0]):
        raise ActionRefused("A drill is running already. Wait until it has ended.")
    worker = _sms_worker_pid(now_ms) if drill.kills_worker else None
    number = drill_number(before[0].id + 1 if before else 0)
    communication_id = _send(drill, number, actor_id, now_ms)
    if worker is not None:
        _schedule_kill(worker)
    return communication_id


def drill_outcome(communication: Communication, now_ms: int) -> DrillOutcome | None:
    """How a drill stands; None for a communication that is no drill. Ends its faults when it is over."""
    drill = _drill_of(communication)
    if drill is None:
        return None
    over = test_messages.is_over(communication)
    (delivery,) = communication.deliveries
    if not over and drill.receipts.get("drop") and delivery.state in (DeliveryState.ACCEPTED, DeliveryState.SENT):
        _poll_sooner(delivery, now_ms)
    return DrillOutcome(drill, communication, _count_arrived(delivery, over), over)


def recent_drills(limit: int) -> list[Communication]:
    """Newest first."""
    return _recent_drills(limit)


def _send(drill: Drill, number: str, actor_id: int, now_ms: int) -> int:
    try:
        simulator_control.set_faults(settings().twilio_api_url, drill_faults(drill, number))
    except SimulatorError as error:
        raise ActionRefused(str(error)) from error
    words = f"{settings().organisation}: drill {now_ms}."
    communication_id = test_messages.send_test_text(number, words, actor_id, now_ms, confirmed_number=number)
    with transaction() as session:
        session.get_one(Communication, communication_id).subject = f"{_SUBJECT_PREFIX}{drill.name}"
    return communication_id


def _drill_of(communication: Communication) -> Drill | None:
    names = {f"{_SUBJECT_PREFIX}{drill.name}": drill for drill in DRILLS.values()}
    return names.get(communication.subject) if communication.kind == TextKind.TEST else None


def _count_arrived(delivery: Delivery, over: bool) -> int | None:
    """Counted where the phone is. When the drill is over, nothing goes wrong on purpose any more."""
    api_url = settings().twilio_api_url
    address, body = delivery.address, delivery.body
    db.session.rollback()
    try:
        found = [text for text in simulator_control.messages_sent_to(api_url, address) if text.get("body") == body]
        if over:
            simulator_control.clear_faults(api_url)
    except SimulatorError:
        return None
    return len(found)


def _poll_sooner(delivery: Delivery, now_ms: int) -> None:
    """A drill does not wait ten minutes for what the sweep would ask then."""
    if now_ms - delivery.state_changed_at_ms > _POLL_AFTER_MS:
        with transaction() as session:
            session.execute(
                update(Delivery)
                .where(Delivery.id == delivery.id, Delivery.state.in_((DeliveryState.ACCEPTED, DeliveryState.SENT)))
                .values(due_at_ms=now_ms)
            )


def _sms_worker_pid(now_ms: int) -> int:
    """The process id of a live worker of the sms queue on this machine. Raises `Refused`."""
    here = f"worker:sms:{socket.gethostname()}:"
    names = [beat.name for beat in heartbeats("worker:sms", now_ms - _HEARTBEAT_FRESH_MS) if beat.name.startswith(here)]
    if not names:
        raise ActionRefused("There is no sms worker on this machine to kill.")
    return int(names[0].removeprefix(here))


def _schedule_kill(pid: int) -> None:
    """Once the text is in flight: the worker claims it within a second, and the simulator keeps its answer back."""
    timer = Timer(_KILL_DELAY_SECONDS, _kill, [pid])
    timer.daemon = True
    timer.start()


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _recent_drills(limit: int) -> list[Communication]:
    query = select(Communication).where(
        Communication.kind == TextKind.TEST, Communication.subject.startswith(_SUBJECT_PREFIX, autoescape=True)
    )
    return list(db.session.scalars(query.order_by(Communication.id.desc()).limit(limit)))

"""Three sending numbers for tests, in the order of `SENDING_NUMBERS`."""

import json
from collections import defaultdict
from typing import Any

from sqlalchemy import insert, select, update

from portal.accounts.tables.phone_numbers import PhoneState
from portal.core.extensions import db
from portal.core.transaction import transaction
from portal.delivery import maintenance
from portal.delivery.sms_attempt import ClaimedText, SmsResult
from portal.gateways.outcomes import Accepted, AccountFault, Unknown
from portal.messages.tables.communications import Attempt
from portal.settings.tables.sending_numbers import SendingNumber
from tests.support import lane_driver, scenario, servers

SENDING_NUMBERS = [servers.FROM_NUMBER, "+12025550101", "+12025550102"]


def configure_three_numbers(rate: float = 10, **changes: Any) -> None:
    sender = {"FromNumber": SENDING_NUMBERS[0], "MoreNumbers": SENDING_NUMBERS[1:], "SegmentsPerSecond": rate}
    scenario.configure_gateway(SmsGatewaySettings=json.dumps(sender), **changes)


def set_up_three_numbers() -> None:
    """Three numbers at ten segments a second each, a template, and a running worker."""
    configure_three_numbers()
    scenario.add_template()
    maintenance.record_heartbeat("a worker", "worker:sms", scenario.now_ms() + 3_600_000)


def send_to_new_accounts(total: int, prefix: str = "C") -> int:
    lane_driver.create_many_accounts(total, prefix)
    return scenario.create_expanded_send(audience={"account_type": prefix})


def slots_by_sending_number() -> dict[str, list[int]]:
    """Sending number to the slots of its texts, in milliseconds."""
    db.session.rollback()
    slots: defaultdict[str, list[int]] = defaultdict(list)
    for sender, slot_ms in db.session.execute(select(Attempt.sender, Attempt.slot_at_ms).order_by(Attempt.slot_at_ms)):
        slots[sender].append(slot_ms)
    return dict(slots)


def last_sending_number_by_recipient() -> dict[str, str]:
    """Phone to the number that last texted it."""
    db.session.rollback()
    query = select(Attempt.destination, Attempt.sender).order_by(Attempt.started_at_ms)
    return dict(db.session.execute(query).all())


def pause_sending_number(number: str) -> None:
    with transaction() as session:
        session.execute(
            update(SendingNumber).where(SendingNumber.number == number).values(paused_reason="by hand", paused_at_ms=1)
        )


def set_preferred_sender(phones: list[str], sending_number: str) -> None:
    db.session.rollback()
    with transaction() as session:
        session.execute(insert(PhoneState), [{"number": phone, "preferred_sender": sending_number} for phone in phones])


def accepted_result(claimed: ClaimedText) -> SmsResult:
    return _result(claimed, Accepted(f"SM{claimed.attempt.id}"))


def unanswered_result(claimed: ClaimedText) -> SmsResult:
    return _result(claimed, Unknown("No answer."))


def rejected_result(claimed: ClaimedText) -> SmsResult:
    return _result(claimed, AccountFault("21606", "not allowed to send", 400))


def _result(claimed: ClaimedText, outcome: Accepted | AccountFault | Unknown) -> SmsResult:
    return SmsResult(claimed, outcome)

"""Numbers that carriers deactivated get no text until their owner confirms them and their phone says START."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from portal.accounts.tables.phone_numbers import PhoneNumber
from portal.carriers.deactivation_reading import read_deactivations
from portal.carriers.rules.deactivation_list import MAX_DAYS
from portal.carriers.tables.deactivation_days import DeactivationDay, known_days
from portal.consent import account_phones, number_status
from portal.consent.tables.ledger import ConsentEvent
from portal.core.actor import SHELL_ACTOR
from portal.core.extensions import db
from tests.support import inbound_helpers, scenario, servers

pytestmark = pytest.mark.usefixtures("app")
NUMBER, OTHER = scenario.phone_number(0), scenario.phone_number(1)
DAY_MS = 86_400_000


@pytest.fixture(autouse=True)
def two_people(app: object) -> None:
    scenario.configure_gateway()
    scenario.create_accounts(2, with_sms=2)
    scenario.add_template()


def day(back: int) -> str:
    return str(datetime.now(UTC).date() - timedelta(days=back))


def deactivate(simulator: servers.SimulatorClient, *numbers: str, back: int = 1) -> None:
    simulator.call_api("PUT", "/simulator/deactivations", {day(back): list(numbers)})


def read(ahead_ms: int = 0) -> None:
    read_deactivations(lambda: scenario.now_ms() + ahead_ms)
    db.session.remove()


def events() -> list[str]:
    query = select(ConsentEvent.number).where(ConsentEvent.kind == "unreachable").order_by(ConsentEvent.id)
    return list(db.session.scalars(query))


def number_state() -> str:
    db.session.remove()
    phone = db.session.scalars(select(PhoneNumber).where(PhoneNumber.number == NUMBER)).one()
    return number_status.number_status(phone, "", scenario.now_ms()).label


def requests_for_days(simulator: servers.SimulatorClient) -> int:
    return len([entry for entry in simulator.get("/simulator/log")["log"] if entry["kind"] == "deactivations"])


def test_each_list_of_the_last_days_is_read_once(simulator: servers.SimulatorClient) -> None:
    deactivate(simulator, NUMBER, "+12025559999", back=3)
    read()
    read()
    assert requests_for_days(simulator) == MAX_DAYS
    row = known_days()[day(3)]
    assert (row.listed, row.found, events()) == (2, 1, [NUMBER])


def test_the_next_claim_skips_a_deactivated_number(simulator: servers.SimulatorClient) -> None:
    scenario.create_expanded_send()
    deactivate(simulator, NUMBER)
    read()
    scenario.run_sms_worker()
    texts = {text.address: (text.state, text.reason) for text in scenario.deliveries("sms")}
    assert texts[NUMBER] == ("skipped", "number_deactivated")
    assert [text["to"] for text in simulator.accepted_texts()] == [OTHER]
    scenario.create_expanded_send()
    assert scenario.deliveries("sms")[-2].reason == "number_deactivated", "and so does the next send"


def test_texts_return_after_confirmation_and_then_start(simulator: servers.SimulatorClient) -> None:
    deactivate(simulator, NUMBER)
    read()
    assert number_state() == "No longer in service"
    assert inbound_helpers.notified_accounts("number_deactivated") == ["P-0"]
    account_phones.confirm_number(inbound_helpers.phone_id(1, NUMBER), 1, SHELL_ACTOR, scenario.now_ms())
    assert number_state() == "Not enabled for texts"
    inbound_helpers.receive_text("START", NUMBER, scenario.now_ms())
    assert number_state() == "Enabled for texts"


def test_start_without_confirmation_gives_the_texts_to_nobody(simulator: servers.SimulatorClient) -> None:
    deactivate(simulator, NUMBER)
    read()
    inbound_helpers.receive_text("START", NUMBER, scenario.now_ms())
    assert inbound_helpers.stored_consent_state(NUMBER)[0] is None


def test_start_before_a_late_list_waits_for_a_decision(simulator: servers.SimulatorClient) -> None:
    inbound_helpers.receive_text("START", NUMBER, scenario.now_ms())
    deactivate(simulator, NUMBER, back=2)
    read()
    assert inbound_helpers.notified_accounts("decision_pending") == ["P-0"]
    assert inbound_helpers.stored_consent_state(NUMBER)[0] is None


@pytest.mark.parametrize(
    ("call", "kind"),
    [("deactivations", "429"), ("deactivations", "expired_link"), ("deactivations", "html_200"), ("file", "half_file")],
)
def test_a_list_that_fails_is_read_again_later(simulator: servers.SimulatorClient, call: str, kind: str) -> None:
    deactivate(simulator, NUMBER, OTHER, back=MAX_DAYS)
    simulator.set_faults(rules=[{"kind": kind, "call": call, "count": 1}])
    read()
    row = known_days()[day(MAX_DAYS)]
    assert (row.read_at_ms, bool(row.error)) == (None, True)
    assert all(row.read_at_ms for row in db.session.scalars(select(DeactivationDay).where(DeactivationDay.error == "")))
    read(ahead_ms=3 * 60_000)
    assert known_days()[day(MAX_DAYS)].read_at_ms
    assert sorted(events()) == [NUMBER, OTHER], "each once, although the first was recorded before the cut"
    assert len(inbound_helpers.notified_accounts("number_deactivated")) == 2

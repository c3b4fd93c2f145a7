"""Failure drills: they need the simulator, run one at a time, and count the texts that arrive."""

import pytest
from sqlalchemy import select

from portal.accounts.account_management import NewAccount, create_account
from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.core.rules.delivery_status import DeliveryState
from portal.core.transaction import transaction
from portal.messages.tables.communications import Communication, Delivery
from portal.operations import drills
from portal.operations.drills import DrillOutcome
from portal.operations.rules.drill_scenarios import DRILLS
from portal.settings import setting_changes
from tests.support import scenario, servers

pytestmark = [pytest.mark.usefixtures("app"), pytest.mark.one_engine]


@pytest.fixture
def actor_id(app: object, simulator: servers.SimulatorClient) -> int:
    scenario.configure_gateway(rate=5)
    new = NewAccount("S-1", "Sasha", "s@example.org", "Staff", "sysadmin", "UTC")
    return create_account(new, scenario.now_ms())


def outcome_of(communication_id: int) -> DrillOutcome:
    db.session.rollback()
    outcome = drills.drill_outcome(db.session.get_one(Communication, communication_id), scenario.now_ms())
    assert outcome
    return outcome


def end_drill() -> None:
    with transaction() as session:
        session.scalars(select(Delivery)).one().state = DeliveryState.DELIVERED


def test_drill_counts_the_texts_that_arrived(actor_id: int) -> None:
    communication_id = drills.start_drill("lost", actor_id, scenario.now_ms())
    assert outcome_of(communication_id) == DrillOutcome(DRILLS["lost"], 0, False)
    scenario.run_sms_worker(until=scenario.attempts_recorded(1))
    assert outcome_of(communication_id) == DrillOutcome(DRILLS["lost"], 1, False)


def test_faults_are_cleared_when_a_drill_is_over(actor_id: int, simulator: servers.SimulatorClient) -> None:
    communication_id = drills.start_drill("twice", actor_id, scenario.now_ms())
    assert simulator.get("/simulator/faults")["receipts"]["duplicate"] == 1
    end_drill()
    assert outcome_of(communication_id).is_over
    assert not simulator.get("/simulator/faults")["receipts"].get("duplicate")


def test_only_one_drill_runs_at_a_time(actor_id: int) -> None:
    drills.start_drill("lost", actor_id, scenario.now_ms())
    with pytest.raises(ActionRefused, match="already running"):
        drills.start_drill("twice", actor_id, scenario.now_ms())
    end_drill()
    assert drills.start_drill("twice", actor_id, scenario.now_ms())


def test_drill_is_refused_in_test_mode(actor_id: int) -> None:
    setting_changes.set_setting("EnableSmsTestMode", "true", None, scenario.now_ms())
    with pytest.raises(ActionRefused, match="Turn off test mode and the override"):
        drills.start_drill("lost", actor_id, scenario.now_ms())


def test_drill_that_kills_needs_a_worker_on_this_machine(actor_id: int) -> None:
    with pytest.raises(ActionRefused, match="No worker for texts is running on this machine"):
        drills.start_drill("killed", actor_id, scenario.now_ms())

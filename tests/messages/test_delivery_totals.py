"""The totals that triggers keep equal a recount of the deliveries, on both databases."""

from typing import Any

import pytest
from flask_migrate import downgrade, upgrade
from sqlalchemy import delete, select, text, update

from portal.core.extensions import db
from portal.core.rules.delivery_status import NO_FURTHER_CHECK_MS
from portal.core.transaction import transaction
from portal.messages import total_maintenance
from portal.messages.tables.communications import Attempt, Delivery
from portal.messages.tables.delivery_totals import HOUR_MS, DeliveryTotal, Total, totals
from tests.support import scenario, servers
from tests.support.databases.delivery_totals import assert_totals_equal_recount

pytestmark = pytest.mark.usefixtures("app")


def change_deliveries(channel: str, **values: Any) -> None:
    with transaction() as session:
        session.execute(update(Delivery).where(Delivery.channel == channel).values(**values))
    assert_totals_equal_recount()


@pytest.fixture
def send_id(simulator: servers.SimulatorClient) -> int:
    """Three emails and two ready texts; the third has no phone."""
    scenario.configure_gateway()
    scenario.create_accounts(3, with_sms=2)
    scenario.add_template()
    return scenario.create_expanded_send()


def test_totals_follow_a_send_from_fan_out_to_acceptance(send_id: int) -> None:
    assert totals(("channel", "state", "reason"), send_ids=[send_id]) == {
        ("email", "ready", ""): Total(3, 0),
        ("sms", "ready", ""): Total(2, 2),
        ("sms", "skipped", "no_number"): Total(1, 0),
    }
    scenario.run_sms_worker()
    scenario.run_email_worker()
    assert totals(("send_id", "kind", "channel", "state")) == {
        (send_id, "notification", "email", "handed_off"): Total(3, 0),
        (send_id, "notification", "sms", "accepted"): Total(2, 2),
        (send_id, "notification", "sms", "skipped"): Total(1, 0),
    }
    assert_totals_equal_recount()


def test_text_no_longer_checked_has_a_state_of_its_own(send_id: int) -> None:
    change_deliveries("sms", state="sent")
    change_deliveries("sms", due_at_ms=NO_FURTHER_CHECK_MS)
    assert totals(("state",), channel="sms") == {("no_receipt",): Total(3, 2)}
    change_deliveries("sms", state="delivered")
    assert totals(("state",), channel="sms") == {("delivered",): Total(3, 2)}


def test_other_changes_of_a_delivery_leave_the_totals(send_id: int) -> None:
    before = totals(("state", "lane", "channel"))
    change_deliveries("email", due_at_ms=1, attempt_count=7)
    assert totals(("state", "lane", "channel")) == before


def test_deleted_deliveries_stay_in_the_totals(send_id: int) -> None:
    before = totals(("channel", "state"))
    with transaction() as session:
        session.execute(delete(Attempt))
        session.execute(delete(Delivery))
    assert totals(("channel", "state")) == before
    assert_totals_equal_recount()


def test_totals_are_limited_to_hours_and_states(send_id: int) -> None:
    hour = (db.session.scalars(select(Delivery.created_at_ms)).first() or 0) // HOUR_MS
    assert totals((), since_hour=hour, until_hour=hour + 1, states=["ready"]) == {(): Total(5, 2)}
    assert totals((), since_hour=hour + 1) == totals((), until_hour=hour) == totals((), send_ids=[]) == {}


def test_rolled_back_change_leaves_the_totals(send_id: int) -> None:
    before = totals(("state",))
    db.session.execute(update(Delivery).values(state="canceled"))
    db.session.rollback()
    assert totals(("state",)) == before


def test_upgrade_counts_the_deliveries_that_exist(send_id: int) -> None:
    folder = str(servers.ROOT / "migrations")
    db.session.remove()
    downgrade(directory=folder, revision="release_5")
    upgrade(directory=folder)
    assert totals(("state",), send_ids=[send_id]) == {("ready",): Total(5, 2), ("skipped",): Total(1, 0)}
    assert_totals_equal_recount()


def test_fold_keeps_the_totals_in_fewer_rows(send_id: int) -> None:
    change_deliveries("email", state="handed_off")
    before = totals(("channel", "state", "reason"))
    total_maintenance.fold_totals()
    assert totals(("channel", "state", "reason")) == before
    rows = {(row.channel, row.state, row.shard): row.count for row in db.session.scalars(select(DeliveryTotal))}
    assert rows == {("email", "handed_off", 0): 3, ("sms", "ready", 0): 2, ("sms", "skipped", 0): 1}
    change_deliveries("sms", state="canceled")


def test_difference_from_a_recount_is_found_and_repaired(send_id: int) -> None:
    with transaction() as session:
        session.execute(delete(DeliveryTotal).where(DeliveryTotal.channel == "email"))
        session.execute(update(DeliveryTotal).where(DeliveryTotal.state == "ready").values(segments=7))
    differences = [(row.channel, row.state, row.count, row.segments) for row in total_maintenance.wrong_totals()]
    assert sorted(differences) == [("email", "ready", 3, 0), ("sms", "ready", 0, -5)]
    total_maintenance.repair_totals()
    assert total_maintenance.wrong_totals() == []
    assert_totals_equal_recount()


def test_transactions_do_not_wait_for_each_other_at_a_total(send_id: int) -> None:
    """Each moves a delivery of the same send from ready, and then another; a third folds meanwhile."""
    if db.engine.dialect.name == "sqlite":
        assert totals(("shard",)).keys() == {(0,)}, "there is one writer at a time"
        return
    ids = list(db.session.scalars(select(Delivery.id).where(Delivery.state == "ready").order_by(Delivery.id)))
    db.session.rollback()
    move = text("UPDATE delivery SET state = 'sending' WHERE id = :id")
    with db.engine.connect() as one, db.engine.connect() as other:
        for connection, delivery_id in zip((one, other, one, other), ids, strict=False):
            connection.execute(move, {"id": delivery_id})
        total_maintenance.fold_totals()
        one.commit()
        total_maintenance.fold_totals()
        other.commit()
    assert totals(("state",), states=["ready", "sending"]) == {("ready",): Total(1, 0), ("sending",): Total(4, 2)}
    assert_totals_equal_recount()

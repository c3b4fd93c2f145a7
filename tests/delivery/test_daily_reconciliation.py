"""Compare a day’s texts with Twilio’s list, in both directions."""

import pytest
from sqlalchemy import select, update

from portal.core import audit_log
from portal.core.extensions import db
from portal.delivery.daily_reconciliation import reconcile_yesterday
from portal.messages.tables.communications import Attempt
from tests.support import scenario, servers

pytestmark = pytest.mark.usefixtures("app")
DAY_MS = 86_400_000


def test_reconciliation_reports_differences_in_both_directions(simulator: servers.SimulatorClient) -> None:
    scenario.configure_gateway()
    scenario.create_accounts(2, with_sms=2)
    scenario.add_template()
    scenario.create_expanded_send()
    scenario.run_sms_worker()
    servers.wait_for(
        lambda: all(text["date_sent"] for text in simulator.accepted_texts()), "the texts to be on their way"
    )
    now_ms = scenario.now_ms()
    noon_ms = now_ms // DAY_MS * DAY_MS + DAY_MS // 2
    db.session.execute(update(Attempt).values(slot_at_ms=noon_ms))
    db.session.execute(
        update(Attempt).where(Attempt.destination == scenario.phone_number(0)).values(provider_id="SM" + "f" * 32)
    )
    db.session.commit()
    foreign_ids = simulator.call_api(
        "POST", "/simulator/seed", {"messages": [{"to": "+14152009999", "body": "sent manually", "at_ms": now_ms}]}
    )["sids"]
    scenario.forget_audit_entries()
    reconcile_yesterday(lambda: noon_ms)
    assert audit_log.audit_page_before(None, 5) == [], "there is no previous run to compare from"
    reconcile_yesterday(lambda: noon_ms + DAY_MS)
    reconcile_yesterday(lambda: noon_ms + DAY_MS + 60_000)
    (entry,) = audit_log.audit_page_before(None, 5)
    assert entry.action == "texts_reconciled"
    assert entry.detail["not_listed_ids"] == ["SM" + "f" * 32]
    assert foreign_ids[0] in entry.detail["not_ours_ids"]
    columns = select(Attempt.provider_segments, Attempt.price, Attempt.price_unit)
    charged = db.session.execute(columns.where(Attempt.provider_id.is_not(None))).all()
    assert {tuple(row) for row in charged} == {(1, "-0.00790", "USD"), (None, None, None)}, "one is not in the list"

"""What recipients switch off on their pages takes effect at the next claim, for texts that wait already as well."""

from dataclasses import replace

import pytest
from flask import Flask
from sqlalchemy import select

from portal.accounts.tables.phone_numbers import PhoneNumber
from portal.consent import account_phones, recording
from portal.consent.rules.consent_state import EventKind, EventSource
from portal.core.actor import Actor
from portal.core.clock import now_ms
from portal.core.extensions import db
from portal.core.rules.routing import Reason
from portal.core.transaction import transaction
from tests.support import lane_driver, scenario
from tests.support.lane_driver import LaneDriver

pytestmark = pytest.mark.usefixtures("app")


@pytest.fixture
def app(app: Flask) -> Flask:
    app.config["PORTAL"] = replace(app.config["PORTAL"], frequency_cap="")
    scenario.configure_gateway(rate=100)
    lane_driver.create_many_accounts(3, "N")
    return app


def texts() -> list[tuple[str, str]]:
    return sorted((row.state, row.reason) for row in scenario.deliveries("sms"))


def test_texts_that_wait_end_with_their_reason_after_a_stop_in_the_portal() -> None:
    scenario.add_template()
    scenario.create_expanded_send("renewal", {"account_type": "N"})
    phone = db.session.scalars(select(PhoneNumber).order_by(PhoneNumber.id)).first()
    assert phone
    with transaction():
        at_ms, columns = now_ms(), {"account_id": phone.account_id}
        recording.record(phone.number, EventKind.OPT_IN, EventSource.IMPORT, at_ms, at_ms, **columns)
    account_phones.stop_texts(phone.id, phone.account_id, Actor(phone.account_id), now_ms())
    lane = LaneDriver()
    lane.run_until_sent(2)
    lane.claim_once()
    assert texts() == [("accepted", ""), ("accepted", ""), ("skipped", Reason.STOPPED)]

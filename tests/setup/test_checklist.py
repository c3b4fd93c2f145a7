"""The checklist ticks what is so, whoever did it and wherever."""

import json
import re
from dataclasses import replace

import pytest
from flask import Flask

from portal.accounts.account_management import NewAccount, create_account
from portal.accounts.tables.accounts import Account
from portal.core.errors import ActionRefused, InvalidInput
from portal.core.extensions import db
from portal.messages.tables.communications import Communication
from portal.operations import test_messages
from portal.settings.setting_changes import set_setting
from portal.setup import checklist, twilio_connection
from portal.setup.organisation_step import OrganisationInput, save_organisation
from portal.setup.twilio_connection import TwilioInput
from tests.support import scenario, servers

pytestmark = pytest.mark.one_engine
NOW_MS = scenario.now_ms()
CONNECTION = TwilioInput("AC00000000000000000000000000000001", "simulator-live-token", "(202) 555-0100")


@pytest.fixture(autouse=True)
def sysadmin(app: Flask, simulator: servers.SimulatorClient) -> int:
    values = {"from_environment": frozenset[str](), "public_url": "http://127.0.0.1:8000", "quiet_hours": ""}
    app.config["PORTAL"] = replace(app.config["PORTAL"], **values)
    return create_account(NewAccount("S-1", "Sasha", "s@example.org", "Staff", "sysadmin"), NOW_MS)


def done() -> set[str]:
    db.session.rollback()
    return {state.step.key for state in checklist.step_states(NOW_MS) if state.is_done}


def test_each_step_ticks_by_what_is_so(app: Flask, sysadmin: int) -> None:
    assert done() == {"quiet_hours"}
    save_organisation(OrganisationInput("Harbor Board", time_zone="America/New_York"), sysadmin, NOW_MS)
    assert done() == {"organization", "quiet_hours"}
    twilio_connection.connect(CONNECTION, None, NOW_MS, "cli")
    assert "twilio" not in done()
    twilio_connection.set_webhooks(None, NOW_MS)
    assert done() == {"organization", "twilio", "quiet_hours"}
    text_id = test_messages.send_test_text("+12025550144", "Is it there?", sysadmin, NOW_MS)
    (delivery,) = db.session.get_one(Communication, text_id).deliveries
    delivery.state = "delivered"
    db.session.commit()
    checklist.confirm_step("wording", NOW_MS)
    checklist.confirm_step("opt_outs", NOW_MS)
    scenario.create_accounts(1)
    set_setting("EnableSmsNotifications", "true", None, NOW_MS)
    assert done() == {"organization", "twilio", "test_text", "wording", "opt_outs", "people", "quiet_hours", "live"}


def test_registration_counts_what_is_missing() -> None:
    details = {state.step.key: state.detail for state in checklist.step_states(NOW_MS)}
    assert re.fullmatch(r"\d+ points are missing\.", details["registration"])


def test_quiet_hours_that_are_off_are_to_do() -> None:
    set_setting("SmsQuietHours", "off", None, NOW_MS)
    assert "quiet_hours" not in done()


def test_webhooks_count_only_for_the_number_they_were_set_for() -> None:
    twilio_connection.connect(CONNECTION, None, NOW_MS, "cli")
    twilio_connection.set_webhooks(None, NOW_MS)
    set_setting("SmsGatewaySettings", json.dumps({"FromNumber": "+12025550188"}), None, NOW_MS)
    assert "twilio" not in done()


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"auth_token": "another-token"}, "AuthToken"),
        ({"from_number": "+12025550188"}, "FromNumber"),
        ({"from_number": "not a number"}, "FromNumber"),
        ({"account_sid": "AC1"}, "AccountSid"),
    ],
    ids=str,
)
def test_what_twilio_does_not_know_is_not_saved(changes: dict[str, str], key: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        twilio_connection.connect(replace(CONNECTION, **changes), None, NOW_MS)
    assert key in getattr(refused.value, "errors_by_key", refused.value.errors)
    assert not twilio_connection.connection_state()[0]


def test_first_administrator_gets_the_time_zone_of_the_organization(sysadmin: int) -> None:
    save_organisation(OrganisationInput("Harbor Board", time_zone="America/New_York"), sysadmin, NOW_MS)
    save_organisation(OrganisationInput("Harbor Board", time_zone="America/Chicago"), sysadmin, NOW_MS)
    assert db.session.get_one(Account, sysadmin).timezone == "America/New_York"


def test_portal_judges_a_step_that_it_can_judge() -> None:
    with pytest.raises(ActionRefused):
        checklist.confirm_step("live", NOW_MS)

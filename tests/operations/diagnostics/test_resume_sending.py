"""Paused sending numbers are resumed only if the Twilio checks pass."""

from typing import Any

import pytest
from flask import Flask

from portal.operations import diagnostics
from portal.settings.tables.sending_numbers import paused_senders
from tests.operations.diagnostics.helpers import (
    CHECK_COUNT,
    change_settings,
    pause_sender,
    run_checks_by_name,
)
from tests.support import scenario, servers


def test_sending_resumes_if_the_twilio_checks_pass(healthy_portal: Flask) -> None:
    pause_sender()
    change_settings(healthy_portal, smtp_url=f"smtp://127.0.0.1:{servers.free_port()}")
    assert run_checks_by_name()["Lanes"].action == "resume"
    report, refusal = diagnostics.resume_sending(scenario.now_ms)
    assert refusal is None
    assert paused_senders() == []
    assert {check.name: check.verdict for check in report.checks}["Lanes"] == "ok"
    assert len(report.checks) == CHECK_COUNT


@pytest.mark.usefixtures("healthy_portal")
@pytest.mark.parametrize(
    "faults",
    [
        {"account": {"status": "suspended"}},
        {"account": {"sms": False}},
        {"rules": [{"kind": "500_before", "call": "account"}]},
    ],
)
def test_sending_stays_paused_while_a_twilio_check_fails(
    simulator: servers.SimulatorClient, faults: dict[str, Any]
) -> None:
    pause_sender()
    simulator.set_faults(**faults)
    report, refusal = diagnostics.resume_sending(scenario.now_ms)
    assert "Sending stays paused." in str(refusal)
    assert [sender.number for sender in paused_senders()] == [servers.FROM_NUMBER]
    assert {check.name: check.verdict for check in report.checks}["Lanes"] == "failing"


@pytest.mark.usefixtures("healthy_portal")
def test_texts_leave_after_a_number_is_resumed(simulator: servers.SimulatorClient) -> None:
    scenario.create_accounts(2, with_sms=2)
    scenario.add_template()
    simulator.set_faults(account={"status": "suspended"})
    scenario.create_expanded_send()
    scenario.run_sms_worker()
    assert diagnostics.resume_sending(scenario.now_ms)[1] is not None
    simulator.set_faults(receipts={"final": "none"})
    scenario.run_sms_worker()
    assert simulator.accepted_texts() == [], "still paused"
    assert diagnostics.resume_sending(scenario.now_ms)[1] is None
    scenario.run_sms_worker(clock_ahead_ms=5000)
    assert len(simulator.accepted_texts()) == 2

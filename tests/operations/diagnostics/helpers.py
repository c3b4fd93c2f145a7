"""Helpers for the tests of the diagnostics."""

from dataclasses import replace
from typing import Any

import pytest
import requests
from flask import Flask

from portal.core.transaction import transaction
from portal.delivery import maintenance
from portal.operations import diagnostics
from portal.operations.rules.checks import CheckResult
from portal.settings.tables.sending_numbers import SendingNumber
from tests.support import scenario, servers

PROCESS_KINDS = ("worker:sms", "worker:email", "worker:work", "scheduler")
NUMBERS_PATH = f"/2010-04-01/Accounts/{servers.LIVE_CREDENTIALS['AccountSid']}/IncomingPhoneNumbers"
BASIC_AUTH = (servers.LIVE_CREDENTIALS["AccountSid"], servers.LIVE_CREDENTIALS["AuthToken"])
SERVICE_SID = "MG" + "a" * 32

one_engine = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For tests that do not depend on the database."""


CHECK_COUNT = 31


def own_number(simulator: servers.SimulatorClient) -> dict[str, Any]:
    url = f"{simulator.url}{NUMBERS_PATH}.json"
    (number,) = requests.get(url, auth=BASIC_AUTH, timeout=10).json()["incoming_phone_numbers"]
    return dict(number)


def set_webhook_config(simulator: servers.SimulatorClient, **form: str) -> None:
    url = f"{simulator.url}{NUMBERS_PATH}/{own_number(simulator)['sid']}.json"
    assert requests.post(url, form, auth=BASIC_AUTH, timeout=10).ok


def record_heartbeats(kinds: tuple[str, ...], at_ms: int | None = None) -> None:
    for kind in kinds:
        maintenance.record_heartbeat(kind, kind, at_ms or scenario.now_ms())


def change_settings(app: Flask, **changes: Any) -> None:
    app.config["PORTAL"] = replace(app.config["PORTAL"], **changes)


def pause_sender(reason: str = "The Twilio account is not active.") -> None:
    with transaction() as session:
        session.merge(
            SendingNumber(number=servers.FROM_NUMBER, next_free_at_us=0, paused_reason=reason, paused_at_ms=1)
        )


def run_checks_by_name(skew_ms: int = 0) -> dict[str, CheckResult]:
    report = diagnostics.run_diagnostics(lambda: scenario.now_ms() + skew_ms)
    checks = {check.name: check for check in report.checks}
    assert len(checks) == CHECK_COUNT, "every check has a result"
    return checks


def problems(checks: dict[str, CheckResult]) -> dict[str, str]:
    return {name: check.verdict for name, check in checks.items() if check.verdict != "ok"}

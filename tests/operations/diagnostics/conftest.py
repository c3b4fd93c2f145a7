"""A portal with nothing wrong, and short timeouts."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask

from portal.core.config import Settings
from portal.gateways import round_trip, smtp_probe, twilio_account
from portal.operations import check_runner
from portal.settings.setting_changes import set_setting
from tests.operations.diagnostics.helpers import PROCESS_KINDS, record_heartbeats, set_webhook_config
from tests.support import scenario, servers
from tests.support.fakes import stub_servers


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """With a public address that leads to us, and a sender that is not the placeholder."""
    url = f"http://127.0.0.1:{servers.free_port()}"
    return replace(settings, public_url=url, mail_from="Board <notices@example.org>")


@pytest.fixture
def short_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    """For servers that never answer."""
    for gateway in (twilio_account, round_trip):
        monkeypatch.setattr(gateway, "_TIMEOUT", (1.0, 1.0))
    monkeypatch.setattr(smtp_probe, "_TIMEOUT_SECONDS", 1.0)
    monkeypatch.setattr(check_runner.run_checks, "__defaults__", (2.0,))


@pytest.fixture
def healthy_portal(app: Flask, settings: Settings, simulator: servers.SimulatorClient) -> Iterator[Flask]:
    """The webhook addresses are set, every process has a heartbeat, and the public address is served."""
    scenario.configure_gateway(rate=1)
    set_setting("Business", '{"SupportEmail": "help@example.org"}', None, scenario.now_ms())
    set_webhook_config(simulator, SmsUrl=f"{settings.public_url}/webhooks/twilio/inbound")
    record_heartbeats(PROCESS_KINDS)
    with stub_servers.serve_app(app, int(settings.public_url.rpartition(":")[2])):
        yield app

"""An empty portal on SQLite and a simulator with realistic latency, both discarded afterwards."""

import contextlib
import json
import logging
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from zoneinfo import ZoneInfo

import structlog
from flask import Flask
from flask_migrate import upgrade

from portal import create_app
from portal.consent import account_import
from portal.content import message_templates
from portal.content.message_templates import TemplateDraft
from portal.core.clock import now_ms
from portal.core.config import load_settings
from portal.sends import fan_out, send_creation
from portal.settings import setting_changes

LATENCY_MS = 100
ROOT = Path(__file__).parents[1]
FROM = "+12025550100"
SID, TOKEN = "AC00000000000000000000000000000001", "simulator-live-token"
PUBLIC_URL = "http://127.0.0.1:9"
BODY = "Your renewal is due"
_JSON = {"Content-Type": "application/json"}
_CSV_HEADER = "external_id,name,email,account_type,role,timezone,phone,sms_opted_in_at,sms_consent_source"


@contextlib.contextmanager
def fresh_simulator() -> Iterator[str]:
    """The URL of a new simulator that sends no receipts. Several may run at once."""
    port = _free_port_pair()
    command = [sys.executable, "-m", "simulator", "--port", str(port), "--smtp-port", str(port + 1)]
    process = subprocess.Popen([*command, "--latency-ms", str(LATENCY_MS)], cwd=ROOT, stdout=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(f"{url}/healthz")
        _disable_receipts(url)
        yield url
    finally:
        process.terminate()
        process.wait(10)


def _disable_receipts(url: str) -> None:
    """No web server would receive them, and the simulator would keep retrying each one."""
    faults = json.dumps({"receipts": {"drop": 1}}).encode()
    request = urllib.request.Request(f"{url}/simulator/faults", faults, _JSON, method="PUT")
    with urllib.request.urlopen(request, timeout=10):
        pass


@contextlib.contextmanager
def fresh_portal(simulator_url: str) -> Iterator[Flask]:
    with tempfile.TemporaryDirectory(prefix="portal-bench-") as folder:
        app = create_quiet_app(Path(folder), simulator_url)
        with app.app_context():
            upgrade_tables()
            yield app


def upgrade_tables() -> None:
    upgrade(directory=str(ROOT / "migrations"))


def create_quiet_app(instance: Path, simulator_url: str, variables: Mapping[str, str] | None = None) -> Flask:
    """An app without logging: there is no queue here, and every wake-up would log a warning."""
    environ = {"PORTAL_INSTANCE": str(instance), **environment_variables(simulator_url), **(variables or {})}
    app = create_app(load_settings(environ))
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    return app


def environment_variables(simulator_url: str) -> dict[str, str]:
    return {
        "PORTAL_TWILIO_API_URL": simulator_url,
        "PORTAL_SMTP_URL": f"smtp://127.0.0.1:{int(simulator_url.rpartition(':')[2]) + 1}",
        "PORTAL_PUBLIC_URL": PUBLIC_URL,
        "PORTAL_SECOND_FACTOR": "optional",
        **_inactive_limits(),
    }


def _inactive_limits() -> dict[str, str]:
    """Limits that hold back nobody now, so that the checks themselves are measured as in production.

    Every recipient has an area code of California.
    """
    hour = (datetime.now(ZoneInfo("America/Los_Angeles")).hour + 12) % 24
    return {"PORTAL_QUIET_HOURS": f"{hour:02}:00-{hour:02}:01", "PORTAL_FREQUENCY_CAP": "100"}


def configure(rate: float) -> None:
    """Set up the gateway with one sending number of `rate` segments per second."""
    values = {
        "SmsGatewayAuthentication": json.dumps({"AccountSid": SID, "AuthToken": TOKEN}),
        "SmsGatewaySettings": json.dumps({"FromNumber": FROM, "SegmentsPerSecond": rate}),
        "EnableSmsNotifications": "true",
    }
    for name, text in values.items():
        setting_changes.set_setting(name, text, None, now_ms())


def add_accounts(total: int, account_type: str = "Load", first_number: int = 2_000_000) -> None:
    """Create `total` accounts, each with a phone number that receives texts."""
    rows = [
        f"{account_type}-{n},Person {n},{account_type.lower()}{n}@example.org,{account_type},user,UTC,"
        f"+1415{first_number + n},2026-01-02,form"
        for n in range(total)
    ]
    account_import.import_accounts("\n".join([_CSV_HEADER, *rows]).encode(), now_ms())


def add_template(key: str = "load", urgent: bool = False) -> None:
    message_templates.create_template(
        TemplateDraft(key, key, BODY, "Body", sms_enabled=True, urgent=urgent), None, now_ms()
    )


def queue_texts(texts: int, rate: float) -> None:
    """Fan out a send of `texts` texts for a gateway of `rate` segments per second."""
    configure(rate)
    add_accounts(texts)
    add_template()
    fan_out.fan_out_send(send_creation.create_send("load", {"all": True}, {}, None, now_ms()), now_ms, seconds=600)


@contextlib.contextmanager
def serve_app(instance: Path, variables: Mapping[str, str] = MappingProxyType({})) -> Iterator[str]:
    """The URL of the portal's web server on this instance, with one process."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    env = {**os.environ, "PORTAL_INSTANCE": str(instance), "PORTAL_PUBLIC_URL": PUBLIC_URL}
    env |= {"PORTAL_SECOND_FACTOR": "optional", **_inactive_limits(), **variables}
    command = [sys.executable, "-m", "portal", "web", "--port", str(port), "--processes", "1"]
    process = subprocess.Popen(command, cwd=ROOT, env=env, stderr=subprocess.DEVNULL)
    try:
        wait_for(f"{url}/healthz")
        yield url
    finally:
        process.terminate()
        process.wait(20)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _free_port_pair() -> int:
    """A free port whose next one is free too, for the simulator's mail server."""
    while True:
        port = free_port()
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port + 1))
            return port


def wait_for(url: str) -> None:
    for _ in range(400):
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"no response from {url}")

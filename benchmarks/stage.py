"""An empty portal on SQLite and a simulator with a provider's latency, thrown away afterwards."""

import contextlib
import json
import logging
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import structlog
from flask import Flask
from flask_migrate import upgrade

from portal import create_app
from portal.actions import accounts, expansion, sends, settings, templates
from portal.actions.templates import TemplateDraft
from portal.clock import now_ms
from portal.config import load_settings

LATENCY_MS = 100
ROOT = Path(__file__).parents[1]
FROM = "+12025550100"
SID, TOKEN = "AC00000000000000000000000000000001", "simulator-live-token"
_PORT = 18_701
_HEADER = "external_id,name,email,account_type,role,timezone,phone,sms_opted_in_at,sms_consent_source"


@contextlib.contextmanager
def simulator() -> Iterator[str]:
    """The address of a fresh simulator that never sends receipts."""
    command = [sys.executable, "-m", "simulator", "--port", str(_PORT), "--smtp-port", str(_PORT + 1)]
    process = subprocess.Popen([*command, "--latency-ms", str(LATENCY_MS)], cwd=ROOT, stdout=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{_PORT}"
    try:
        _wait_for(url)
        yield url
    finally:
        process.terminate()
        process.wait(10)


@contextlib.contextmanager
def portal(simulator_url: str) -> Iterator[Flask]:
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with tempfile.TemporaryDirectory(prefix="portal-bench-") as folder:
        env = {
            "PORTAL_INSTANCE": folder,
            "PORTAL_TWILIO_API_URL": simulator_url,
            "PORTAL_PUBLIC_URL": "http://127.0.0.1:9",
        }
        app = create_app(load_settings(env))
        with app.app_context():
            upgrade(directory=str(ROOT / "migrations"))
            yield app


def fill(texts: int, rate: float) -> None:
    """So many texts waiting for a gateway of this rate."""
    values = {
        "SmsGatewayAuthentication": json.dumps({"AccountSid": SID, "AuthToken": TOKEN}),
        "SmsGatewaySettings": json.dumps({"FromNumber": FROM, "SegmentsPerSecond": rate}),
        "EnableSmsNotifications": "true",
    }
    for name, text in values.items():
        settings.set_setting(name, text, None, now_ms())
    rows = [
        f"B-{n},Person {n},b{n}@example.org,Load,user,UTC,+1415{2_000_000 + n},2026-01-02,form" for n in range(texts)
    ]
    accounts.import_accounts("\n".join([_HEADER, *rows]).encode(), now_ms())
    templates.create_template(
        TemplateDraft("load", "Load", "Your renewal is due", "Body", sms_enabled=True), None, now_ms()
    )
    expansion.expand_send(sends.create_send("load", {"all": True}, {}, None, now_ms()), now_ms)


def arrivals_ms(simulator_url: str) -> list[int]:
    """When each text arrived at the simulator, in order."""
    with urllib.request.urlopen(f"{simulator_url}/simulator/log", timeout=60) as answer:
        log: list[dict[str, Any]] = json.load(answer)["log"]
    return sorted(call["at_ms"] for call in log if call["kind"] == "create")


def _wait_for(url: str) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/healthz", timeout=1):
            return
        time.sleep(0.05)
    raise RuntimeError("the simulator did not start")

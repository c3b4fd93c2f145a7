"""No value can begin a line of the log or show a phone number, in either format."""

import json

import pytest
import structlog

from portal.core import logging_setup

FORGED = "x\r\n2026-11-29T00:00:00Z [info] signed in\x1b[2J\u2028 +12025550123"


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_values_stay_on_their_line_and_hide_phone_numbers(log_format: str, capfd: pytest.CaptureFixture[str]) -> None:
    try:
        logging_setup.configure(log_format)
        structlog.get_logger().warning("queue available again", cause=FORGED, more={"inner": [FORGED]})
    finally:
        logging_setup.configure("text")
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "\x1b[2J" not in lines[0]
    assert "2025550123" not in lines[0]
    assert "+*******23" in lines[0]
    if log_format == "json":
        assert json.loads(lines[0])["cause"].startswith("x\\r\\n2026")

"""The command line: `python -m simulator`."""

import argparse
import asyncio
import gc
import sqlite3
import sys

from simulator.faults import SMTP_EXTENSIONS
from simulator.numbers import is_phone_number
from simulator.server import PortBusy, run
from simulator.settings import LIVE, TEST, Credentials, Settings

_LOOK_AFTER = (1_000, 4, 5_000)
"""Garbage: a look after 1,000 new objects, a larger one after four of those, at everything hardly ever. Each takes a
millisecond or three; a look at 50,000 took 50."""


def main(argv: list[str] | None = None) -> int:
    settings = _settings(_parser().parse_args(argv))
    # It keeps every message. While it looks through them for garbage it notes no arrival: texts that came evenly
    # would stand in its log as a burst.
    gc.freeze()
    gc.set_threshold(*_LOOK_AFTER)
    try:
        asyncio.run(run(settings))
    except PortBusy as error:
        print(error, file=sys.stderr)
        return 1
    except sqlite3.Error as error:
        print(f"The data file {settings.data} cannot be used: {error}.", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    normal = Settings()
    parser = argparse.ArgumentParser(
        prog="simulator", description="Twilio's Messages API, handsets and a mailbox on this machine only."
    )
    add = parser.add_argument
    add("--port", type=_port, default=normal.port, help="HTTP: API and pages (default %(default)s)")
    add("--smtp-port", type=_port, default=normal.smtp_port, help="SMTP (default %(default)s)")
    add("--data", default=normal.data, metavar="FILE", help="SQLite file that keeps everything (default: memory)")
    add("--inbound-url", default=normal.inbound_url, metavar="URL", help="where texts from handsets are posted")
    add("--latency-ms", type=_positive, default=normal.latency_ms, help="of API answers (default %(default)s)")
    add("--rate", type=_positive, default=normal.rate, help="segments per second and From; 0 = no limit")
    add("--from-number", type=_number, action="append", metavar="NUMBER", help="a number of ours; repeatable")
    add("--smtp-extension", type=str.upper, action="append", choices=SMTP_EXTENSIONS, help="offered; repeatable")
    add("--account-sid", default=LIVE.account_sid)
    add("--auth-token", default=LIVE.auth_token)
    add("--test-account-sid", default=TEST.account_sid)
    add("--test-auth-token", default=TEST.auth_token)
    return parser


def _settings(given: argparse.Namespace) -> Settings:
    return Settings(
        port=given.port,
        smtp_port=given.smtp_port,
        data=given.data,
        inbound_url=given.inbound_url,
        latency_ms=given.latency_ms,
        rate=given.rate,
        smtp_extensions=tuple(given.smtp_extension or Settings().smtp_extensions),
        from_numbers=tuple(given.from_number or Settings().from_numbers),
        live=Credentials(given.account_sid, given.auth_token),
        test=Credentials(given.test_account_sid, given.test_auth_token),
    )


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65_535:
        raise argparse.ArgumentTypeError("a port is a number from 1 to 65535")
    return int(text)


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError("must be a number of 0 or more")
    return value


def _number(text: str) -> str:
    if not is_phone_number(text):
        raise argparse.ArgumentTypeError("must be a phone number such as +12025550100")
    return text

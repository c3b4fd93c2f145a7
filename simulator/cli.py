"""The command line: `python -m simulator`."""

import argparse
import asyncio
import gc
import sqlite3
import sys

from simulator.faults.kinds import SMTP_EXTENSIONS
from simulator.number_formats import is_phone_number
from simulator.server import PortInUse, run
from simulator.settings import LIVE, TEST, AccountCredentials, SimulatorSettings

_GC_THRESHOLDS = (1_000, 4, 5_000)
"""Small and frequent collections take 1 to 3 ms each. With a first threshold of 50,000 a collection took 50 ms."""


def main(argv: list[str] | None = None) -> int:
    settings = _settings(_parser().parse_args(argv))
    # The store keeps every message, so a full garbage collection is slow. While one runs no request is logged, and
    # texts that arrived evenly would appear in the log as a burst.
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
    try:
        asyncio.run(run(settings))
    except PortInUse as error:
        print(error, file=sys.stderr)
        return 1
    except sqlite3.Error as error:
        print(f"Cannot use the data file {settings.data}: {error}.", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    defaults = SimulatorSettings()
    parser = argparse.ArgumentParser(
        prog="simulator", description="Simulate Twilio's Messages API, handsets and a mail server on this machine."
    )
    add = parser.add_argument
    add("--port", type=_port, default=defaults.port, help="HTTP port for the API and the pages (default %(default)s)")
    add("--smtp-port", type=_port, default=defaults.smtp_port, help="SMTP port (default %(default)s)")
    add("--data", default=defaults.data, metavar="FILE", help="SQLite file for all data (default: in memory)")
    add("--inbound-url", default=defaults.inbound_url, metavar="URL", help="webhook for texts from handsets")
    add("--latency-ms", type=_non_negative, default=defaults.latency_ms, help="API latency (default %(default)s)")
    add("--rate", type=_non_negative, default=defaults.rate, help="segments per second and From; 0 = no limit")
    add("--from-number", type=_phone_number, action="append", metavar="NUMBER", help="a sending number; repeatable")
    add("--smtp-extension", type=str.upper, action="append", choices=SMTP_EXTENSIONS, help="to offer; repeatable")
    add("--account-sid", default=LIVE.account_sid)
    add("--auth-token", default=LIVE.auth_token)
    add("--test-account-sid", default=TEST.account_sid)
    add("--test-auth-token", default=TEST.auth_token)
    return parser


def _settings(args: argparse.Namespace) -> SimulatorSettings:
    options = vars(args)
    live = AccountCredentials(options.pop("account_sid"), options.pop("auth_token"))
    test = AccountCredentials(options.pop("test_account_sid"), options.pop("test_auth_token"))
    lists = {"from_numbers": options.pop("from_number"), "smtp_extensions": options.pop("smtp_extension")}
    options |= {name: tuple(values) for name, values in lists.items() if values}
    return SimulatorSettings(**options, live=live, test=test)


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65_535:
        raise argparse.ArgumentTypeError("must be a port from 1 to 65535")
    return int(text)


def _non_negative(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError("must be a number of 0 or more")
    return value


def _phone_number(text: str) -> str:
    if not is_phone_number(text):
        raise argparse.ArgumentTypeError("must be a phone number such as +12025550100")
    return text

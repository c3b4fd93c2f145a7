"""Startup options of one simulator. They do not change while it runs."""

from dataclasses import dataclass, field

API_VERSION = "2010-04-01"


@dataclass(frozen=True)
class AccountCredentials:
    account_sid: str
    auth_token: str = field(repr=False)


LIVE = AccountCredentials("AC00000000000000000000000000000001", "simulator-live-token")
TEST = AccountCredentials("AC00000000000000000000000000000002", "simulator-test-token")
KEY = AccountCredentials("SK00000000000000000000000000000003", "simulator-key-secret")
"""A standard API key of the live account. It can access everything except the Account resource."""


@dataclass(frozen=True)
class SimulatorSettings:
    port: int = 8001
    smtp_port: int = 8002
    data: str = ":memory:"
    inbound_url: str = "http://127.0.0.1:8000/webhooks/twilio/inbound"
    latency_ms: float = 100
    rate: float = 0  # segments per second and From; 0 = no limit
    smtp_extensions: tuple[str, ...] = ("SIZE", "8BITMIME", "SMTPUTF8")
    from_numbers: tuple[str, ...] = ("+12025550100",)
    live: AccountCredentials = LIVE
    test: AccountCredentials = TEST
    key: AccountCredentials = KEY

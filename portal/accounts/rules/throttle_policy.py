"""How long to wait after repeated attempts: a few are free, then the wait doubles each time."""

from ipaddress import IPv6Address, ip_address

FREE_ATTEMPTS = {
    **{"name": 5, "device": 5, "account": 10, "address": 20},
    **{"reset": 0, "reset_address": 10, "email_change": 3, "own_password": 5, "second_factor": 5},
}
"""By kind of counter. Wrong passwords: for one name from one IP address ("name"), for one account from a known device
("device") or from all unknown addresses together ("account"), and from one IP address for any account ("address").
Password resets: emails to one recipient ("reset") and requests from one IP address ("reset_address"). Of somebody who
is signed in: emails that confirm a new address, by account and by address ("email_change"), and wrong passwords when
choosing a new one ("own_password"). After the password: wrong codes of an account, from one of its known devices or
from everywhere else together ("second_factor")."""

COUNTER_LIFETIME_MS = 3_600_000
MAX_COUNTERS = 100_000
"""The table keeps the newest rows. The cost of a password hash keeps attackers below this within an hour."""
_BASE_BACKOFF_MS = {
    **dict.fromkeys(("name", "device", "account", "address", "own_password", "second_factor"), 2_000),
    "email_change": 60_000,
    "reset": 300_000,
    "reset_address": 30_000,
}
_MAX_BACKOFF_MS = 900_000


def backoff_ms(kind: str, attempts: int, last_attempt_at_ms: int, now_ms: int) -> int:
    """Milliseconds until the next attempt is allowed; 0 if it is allowed now."""
    excess = attempts - FREE_ATTEMPTS[kind]
    if excess <= 0 or now_ms - last_attempt_at_ms > COUNTER_LIFETIME_MS:
        return 0
    wait_ms = min(_MAX_BACKOFF_MS, _BASE_BACKOFF_MS[kind] << min(excess - 1, 20))
    return max(0, last_attempt_at_ms + wait_ms - now_ms)


def client_network(address: str) -> str:
    """The network of one client: a /64 for IPv6. An IPv4-mapped IPv6 address counts as IPv4."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    return str(parsed.ipv4_mapped or IPv6Address(int(parsed) >> 64 << 64))

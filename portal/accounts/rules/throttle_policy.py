"""How long to wait after how many tries: a few are free, then each costs twice the last."""

from ipaddress import IPv6Address, ip_address

FREE_ATTEMPTS = {"name": 5, "device": 5, "account": 10, "address": 20, "reset": 0, "reset_address": 10}
"""By kind. Wrong passwords for one account: from one address, from one known device, from all unknown addresses
together. Wrong passwords from one address for any account. Reset mails to one mailbox; reset forms from an address."""

COUNTER_LIFETIME_MS = 3_600_000
MAX_COUNTERS = 100_000
"""Rows the table may hold; the oldest go first. Nobody gets so many past the password hash within the hour."""
_BASE_BACKOFF_MS = {
    "name": 2_000,
    "device": 2_000,
    "account": 2_000,
    "address": 2_000,
    "reset": 300_000,
    "reset_address": 30_000,
}
_MAX_BACKOFF_MS = 900_000


def backoff_ms(kind: str, times: int, last_at_ms: int, now_ms: int) -> int:
    """Milliseconds to wait from now; 0 when the next try may come."""
    over = times - FREE_ATTEMPTS[kind]
    if over <= 0 or now_ms - last_at_ms > COUNTER_LIFETIME_MS:
        return 0
    wait = min(_MAX_BACKOFF_MS, _BASE_BACKOFF_MS[kind] << min(over - 1, 20))
    return max(0, last_at_ms + wait - now_ms)


def counts_toward_account(tries_from_address: int) -> bool:
    """Whether a try is counted for the account as a whole: one address alone never closes it to all the others."""
    return tries_from_address < FREE_ATTEMPTS["name"]


def client_network(address: str) -> str:
    """Whom an address stands for: an IPv6 subscriber has a whole /64, an IPv4 address may come written as IPv6."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(found, IPv6Address):
        return str(found)
    return str(found.ipv4_mapped or IPv6Address(int(found) >> 64 << 64))

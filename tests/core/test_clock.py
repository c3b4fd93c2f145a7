"""Hosts that share a database use its time."""

import time
from collections.abc import Iterator

import pytest
from flask import Flask

from portal.core import clock
from portal.core.extensions import db

_HOUR_US = 3_600_000_000


@pytest.fixture(autouse=True)
def _restore_host_clock() -> Iterator[None]:
    yield
    clock.use_host_clock()


def test_host_with_a_wrong_clock_uses_the_database_time(monkeypatch: pytest.MonkeyPatch) -> None:
    database_us = time.time_ns() // 1000
    clock.sync_to_database(database_us, time.monotonic_ns(), time.monotonic_ns())
    true_ns = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: true_ns() + 1000 * _HOUR_US)
    assert abs(clock.now_us() - database_us) < 5_000_000
    clock.use_host_clock()
    assert clock.now_us() - database_us > _HOUR_US / 2


def test_consistent_sample_does_not_make_time_jump() -> None:
    now_ns = time.monotonic_ns()
    clock.sync_to_database(1_000_000_000, now_ns, now_ns)
    before = clock.now_us()
    clock.sync_to_database(1_000_030_000, now_ns, now_ns + 100_000_000)
    assert clock.now_us() - before < 25_000
    clock.sync_to_database(5_000_000_000, now_ns, now_ns + 100_000_000)
    assert clock.now_us() - before > 3_000_000_000


def test_connecting_syncs_the_clock_on_postgresql_only(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    true_ns = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: true_ns() + 1000 * _HOUR_US)
    db.engine.dispose()
    db.session.execute(db.text("SELECT 1"))
    is_synced = abs(clock.now_us() - true_ns() // 1000) < 60_000_000
    assert is_synced == (db.engine.dialect.name == "postgresql")

"""The time that hosts on one database agree on."""

import time
from collections.abc import Iterator

import pytest
from flask import Flask

from portal.core import clock
from portal.core.extensions import db

_HOUR_US = 3_600_000_000


@pytest.fixture(autouse=True)
def _own_time_afterwards() -> Iterator[None]:
    yield
    clock.use_host_clock()


def test_a_host_whose_clock_is_an_hour_off_goes_by_the_databases_time(monkeypatch: pytest.MonkeyPatch) -> None:
    told_us = time.time_ns() // 1000
    clock.sync_to_database(told_us, time.monotonic_ns(), time.monotonic_ns())
    true_ns = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: true_ns() + 1000 * _HOUR_US)
    assert abs(clock.now_us() - told_us) < 5_000_000
    clock.use_host_clock()
    assert clock.now_us() - told_us > _HOUR_US / 2


def test_an_answer_that_fits_what_was_agreed_does_not_make_the_time_jump() -> None:
    now_ns = time.monotonic_ns()
    clock.sync_to_database(1_000_000_000, now_ns, now_ns)
    before = clock.now_us()
    clock.sync_to_database(1_000_030_000, now_ns, now_ns + 100_000_000)
    assert clock.now_us() - before < 25_000
    clock.sync_to_database(5_000_000_000, now_ns, now_ns + 100_000_000)
    assert clock.now_us() - before > 3_000_000_000


def test_whoever_connects_to_postgresql_agrees_on_its_time_and_sqlite_has_none(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    true_ns = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: true_ns() + 1000 * _HOUR_US)
    db.engine.dispose()
    db.session.execute(db.text("SELECT 1"))
    agreed = abs(clock.now_us() - true_ns() // 1000) < 60_000_000
    assert agreed == (db.engine.dialect.name == "postgresql")

"""Scenario 19: the schema changes while texts leave, and processes of two releases run side by side."""

import shutil
import time
from concurrent.futures import ThreadPoolExecutor

from tests.faults.support.engine_marks import on_engine_in_short_run
from tests.faults.support.fault_environment import FaultEnvironment
from tests.faults.support.fault_report import FaultReport
from tests.faults.support.invariants import check_invariants
from tests.faults.support.supervised_processes import SupervisedProcess
from tests.faults.support.timing import LONG_RUN
from tests.support import servers

TEXTS, SLOW_RATE, RATE = (1_200, 20.0, 20.0) if LONG_RUN else (24, 1.0, 40.0)
_NEXT_MIGRATION = '''"""The schema of the next release, which this release can use as well."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "next", "{head}"


def upgrade() -> None:
    op.add_column("delivery", sa.Column("carrier", sa.Text(), nullable=True))
    op.create_index("ix_delivery_carrier", "delivery", ["carrier"])


def downgrade() -> None:
    op.drop_index("ix_delivery_carrier", "delivery")
    op.drop_column("delivery", "carrier")
'''


@on_engine_in_short_run("postgresql")
def test_the_schema_is_upgraded_during_a_send(environment: FaultEnvironment, report: FaultReport) -> None:
    next_release = {"NEXT_MIGRATIONS": _next_migrations(environment)}
    environment.scale_processes(sms=1)
    environment.configure(rate=SLOW_RATE)
    audience = environment.sends.create_recipients(TEXTS)
    started = time.monotonic()
    upgraded = environment.start_process("sms", **next_release)
    environment.wait(lambda: "Run: portal db upgrade" in environment.log_output(), "the upgraded worker to wait")
    assert not _has_heartbeat(environment, upgraded)
    send = environment.sends.create(audience)
    environment.wait(lambda: _count_sent(environment, send) >= (TEXTS * 0.1 if LONG_RUN else 1), "texts to leave")
    _upgrade_from_two_hosts(environment, next_release)
    environment.wait(lambda: _has_heartbeat(environment, upgraded), "the upgraded worker to start")
    assert environment.run_portal_command("db", "upgrade").endswith("This version runs on them as they are.")
    assert _count_sent(environment, send) < TEXTS, "every text had left before the upgrade"
    assert environment.is_ready(), "older processes must run on the newer schema"
    environment.configure(rate=RATE)
    environment.progress.wait_until_settled(send, seconds=300)
    environment.supervisor.stop_for_good(upgraded)
    environment.run_portal_command("db", "downgrade", **next_release)
    outcome = check_invariants(environment, send, audience.phone_numbers)
    report.add("19 migration", environment.engine, seconds=time.monotonic() - started, **outcome.figures())


def _next_migrations(environment: FaultEnvironment) -> str:
    folder = environment.folder / "next"
    shutil.copytree(servers.ROOT / "migrations", folder)
    head = environment.database.value("SELECT version_num FROM alembic_version")
    (folder / "versions" / "next.py").write_text(_NEXT_MIGRATION.format(head=head))
    return str(folder)


def _upgrade_from_two_hosts(environment: FaultEnvironment, next_release: dict[str, str]) -> None:
    with ThreadPoolExecutor(2) as pool:
        for upgrade in [pool.submit(environment.run_portal_command, "db", "upgrade", **next_release) for _ in range(2)]:
            upgrade.result()


def _count_sent(environment: FaultEnvironment, send: int) -> int:
    states = environment.progress.count_states(send)
    return sum(states.values()) - states.get("ready", 0) - states.get("sending", 0)


def _has_heartbeat(environment: FaultEnvironment, process: SupervisedProcess) -> bool:
    return bool(
        environment.database.rows(
            "SELECT 1 FROM heartbeat WHERE name LIKE :pattern", pattern=f"worker:sms:%:{process.pid}"
        )
    )

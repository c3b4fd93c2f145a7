"""Scenario 19: the tables change while texts leave, and processes of one version work beside those of the next."""

import shutil
import time
from concurrent.futures import ThreadPoolExecutor

from tests.faults.support.engine_marks import on_engine_in_short_run
from tests.faults.support.fault_environment import LONG_RUN, FaultEnvironment
from tests.faults.support.fault_report import FaultReport
from tests.faults.support.invariants import check_invariants
from tests.faults.support.supervised_processes import SupervisedProcess
from tests.support import servers

TEXTS, SLOW_RATE, RATE = (1_200, 20.0, 20.0) if LONG_RUN else (24, 1.0, 40.0)
_NEXT_MIGRATION = '''"""The tables of the next release: what is added may be left out."""

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
def test_the_tables_change_under_a_send_and_two_versions_work_side_by_side(
    environment: FaultEnvironment, report: FaultReport
) -> None:
    newer = {"NEXT_MIGRATIONS": _next_migrations(environment)}
    environment.scale_processes(sms=1)
    environment.configure(rate=SLOW_RATE)
    audience = environment.create_recipients(TEXTS)
    began = time.monotonic()
    early = environment.start_process("sms", **newer)
    environment.wait(lambda: "Run: portal db upgrade" in environment.said(), "the newer worker to wait")
    assert not _has_heartbeat(environment, early)
    send = environment.create_send(audience)
    environment.wait(lambda: _texts_left(environment, send) >= (TEXTS * 0.1 if LONG_RUN else 1), "texts to leave")
    _upgrade_from_two_hosts(environment, newer)
    environment.wait(lambda: _has_heartbeat(environment, early), "the newer worker to begin")
    assert environment.run_portal_command("db", "upgrade").endswith("which runs on them as they are.")
    assert _texts_left(environment, send) < TEXTS, "the tables changed while texts left"
    assert environment.is_ready(), "older processes run on newer tables"
    environment.configure(rate=RATE)
    environment.wait_until_settled(send, seconds=300)
    environment.supervisor.stop_for_good(early)
    environment.run_portal_command("db", "downgrade", **newer)
    found = check_invariants(environment, send, audience.phone_numbers)
    report.add("19 migration", environment.engine, seconds=time.monotonic() - began, **found.figures())


def _next_migrations(stage: FaultEnvironment) -> str:
    folder = stage.folder / "next"
    shutil.copytree(servers.ROOT / "migrations", folder)
    head = stage.database.value("SELECT version_num FROM alembic_version")
    (folder / "versions" / "next.py").write_text(_NEXT_MIGRATION.format(head=head))
    return str(folder)


def _upgrade_from_two_hosts(stage: FaultEnvironment, newer: dict[str, str]) -> None:
    with ThreadPoolExecutor(2) as pool:
        for host in [pool.submit(stage.run_portal_command, "db", "upgrade", **newer) for _ in range(2)]:
            host.result()


def _texts_left(stage: FaultEnvironment, send: int) -> int:
    states = stage.count_states(send)
    return sum(states.values()) - states.get("ready", 0) - states.get("sending", 0)


def _has_heartbeat(stage: FaultEnvironment, process: SupervisedProcess) -> bool:
    return bool(stage.database.rows("SELECT 1 FROM heartbeat WHERE name LIKE :its", its=f"worker:sms:%:{process.pid}"))

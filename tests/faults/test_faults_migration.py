"""Scenario 19: the tables change while texts leave, and processes of one version work beside those of the next."""

import shutil
import time
from concurrent.futures import ThreadPoolExecutor

import parts
from fault_engines import turn_of
from fault_oracle import judge
from fault_processes import Process
from fault_report import Report
from fault_stage import LONG, Stage

TEXTS, SLOW, RATE = (1_200, 20.0, 20.0) if LONG else (24, 1.0, 40.0)
_NEXT = '''"""The tables of the next release: what is added may be left out."""

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


@turn_of("postgresql")
def test_the_tables_change_under_a_send_and_two_versions_work_side_by_side(stage: Stage, report: Report) -> None:
    newer = {"NEXT_MIGRATIONS": _next_migrations(stage)}
    stage.crew(sms=1)
    stage.configure(rate=SLOW)
    audience = stage.people(TEXTS)
    began = time.monotonic()
    early = stage.start("sms", **newer)
    stage.wait(lambda: "Run: portal db upgrade" in stage.said(), "the newer worker to wait")
    assert not _works(stage, early)
    send = stage.send(audience)
    stage.wait(lambda: _gone(stage, send) >= (TEXTS * 0.1 if LONG else 1), "texts to leave")
    _from_two_hosts_at_once(stage, newer)
    stage.wait(lambda: _works(stage, early), "the newer worker to begin")
    assert stage.portal("db", "upgrade").endswith("which runs on them as they are.")
    assert _gone(stage, send) < TEXTS, "the tables changed while texts left"
    assert stage.is_ready(), "older processes run on newer tables"
    stage.configure(rate=RATE)
    stage.settled(send, seconds=300)
    stage.keeper.dismiss(early)
    stage.portal("db", "downgrade", **newer)
    found = judge(stage, send, audience.numbers)
    report.add("19 migration", stage.engine, seconds=time.monotonic() - began, **found.figures())


def _next_migrations(stage: Stage) -> str:
    folder = stage.folder / "next"
    shutil.copytree(parts.ROOT / "migrations", folder)
    head = stage.database.value("SELECT version_num FROM alembic_version")
    (folder / "versions" / "next.py").write_text(_NEXT.format(head=head))
    return str(folder)


def _from_two_hosts_at_once(stage: Stage, newer: dict[str, str]) -> None:
    with ThreadPoolExecutor(2) as pool:
        for host in [pool.submit(stage.portal, "db", "upgrade", **newer) for _ in range(2)]:
            host.result()


def _gone(stage: Stage, send: int) -> int:
    states = stage.states(send)
    return sum(states.values()) - states.get("ready", 0) - states.get("sending", 0)


def _works(stage: Stage, process: Process) -> bool:
    return bool(stage.database.rows("SELECT 1 FROM heartbeat WHERE name LIKE :its", its=f"worker:sms:%:{process.pid}"))

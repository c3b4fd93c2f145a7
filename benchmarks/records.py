"""Export, retention and import of many rows on SQLite: time, memory, the write lock, and pages meanwhile."""

from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import func, select, text

from benchmarks import pages, targets
from benchmarks.environment import add_accounts, add_template, configure, fresh_portal, serve_app
from benchmarks.process_group import collect_results, process_group, signal_stop, start_work
from portal.accounts.tables.accounts import Account
from portal.consent.background_imports import confirm_upload, create_upload
from portal.consent.tables.import_tasks import ImportTaskKind
from portal.core.actor import SHELL_ACTOR
from portal.core.clock import now_ms
from portal.core.extensions import db
from portal.core.statements import refresh_statistics
from portal.core.transaction import transaction
from portal.messages.tables.communications import Communication, Delivery
from portal.records import exports, retention
from portal.records.rules.retention_kinds import DAY_MS, RetentionKind
from portal.records.tables.communication_exports import CommunicationExport

COMMUNICATIONS, IMPORTED = 200_000, 50_000
_ACCOUNTS = 1_000
_UNUSED_URL = "http://127.0.0.1:9"
_AGE_MS = 400 * DAY_MS
_PAGES = ["/Admin/Sends", "/Admin/Communications", "/Admin/Communications/Exports"]
_NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})"
_ROWS = (
    "INSERT INTO send (id, template_version_id, audience, data, state, created_at_ms, starts_at_ms, recipients,"
    " fan_out_cursor)"
    " SELECT i, 1, '{{}}', '{{}}', 'done', {at_ms}, 0, {accounts}, 0 FROM n WHERE i <= {count} / {accounts} + 1",
    "INSERT INTO communication (id, send_id, account_id, kind, subject, body, token, created_at_ms)"
    " SELECT i, i / {accounts} + 1, i % {accounts} + 1, 'notification', 'Your renewal is due, number ' || i,"
    " printf('%0600d', i), 'token-' || i, {at_ms} + i FROM n",
    "INSERT INTO delivery (id, communication_id, send_id, channel, lane, state, reason, address, body, segments,"
    " due_at_ms, attempt_count, error_code, state_changed_at_ms, created_at_ms)"
    " SELECT 2 * i - 1, i, i / {accounts} + 1, 'email', 1, 'handed_off', '', 'p' || i || '@example.org', '', 0,"
    " {at_ms}, 1, '', {at_ms}, {at_ms} + i FROM n UNION ALL"
    " SELECT 2 * i, i, i / {accounts} + 1, 'sms', 1, 'delivered', '', '+1415200' || (1000 + i % 9000),"
    " 'Your renewal', 1, {at_ms}, 1, '', {at_ms}, {at_ms} + i FROM n",
    "INSERT INTO attempt (id, delivery_id, mode, account_sid, sender, destination, started_at_ms, slot_at_ms,"
    " lease_until_ms, outcome, error_code, detail)"
    " SELECT 'attempt-' || (2 * i), 2 * i, 'live', 'AC', '+14155550100', '+14152001000', {at_ms}, {at_ms}, {at_ms},"
    " 'accepted', '', '' FROM n",
    "INSERT INTO receipt (provider_id, status, error_code, attempt_id, delivery_id, raw, received_at_ms, applied)"
    " SELECT 'SM' || i, 'delivered', '', '', 2 * i, '{{}}', {at_ms}, 1 FROM n",
)


def run() -> list[str]:
    with fresh_portal(_UNUSED_URL) as app:
        configure(100)
        add_accounts(_ACCOUNTS)
        pages.add_admin()
        add_template()
        _add_communications()
        export_id = exports.create_export("", True, "csv", "", "UTC", 1, now_ms())
        instance = app.config["PORTAL"].instance
        lines = [_measure(instance, "export", str(export_id))]
        rows = db.session.get_one(CommunicationExport, export_id, populate_existing=True).row_count
        if rows != COMMUNICATIONS:
            raise RuntimeError(f"the export has {rows} rows")
        days = dict.fromkeys((RetentionKind.BODIES, RetentionKind.EVENTS, RetentionKind.DELIVERIES), 365)
        retention.save_days(days, 1, now_ms())
        lines.append(_measure(instance, "retention"))
        deleted = {row.kind: row.deleted_count for row in retention.kept_records()}
        if deleted[RetentionKind.DELIVERIES] != 2 * COMMUNICATIONS:
            raise RuntimeError(f"retention deleted {deleted}")
        lines += _import_accounts(instance)
    return [
        f"{COMMUNICATIONS:,} communications with an email and a text each; a file of {IMPORTED:,} accounts with a "
        "phone number each, checked and then imported. Meanwhile an administrator opens pages.",
        "",
        "| job | s | CPU s | peak memory | longest wait of a second writer | p95 of the slowest page |",
        "|---|---|---|---|---|---|",
        *lines,
    ]


def _add_communications() -> None:
    values = {"count": COMMUNICATIONS, "accounts": _ACCOUNTS, "at_ms": now_ms() - _AGE_MS}
    with transaction() as session:
        for rows in _ROWS:
            insert, _select, source = rows.partition(" SELECT ")
            statement = f"{insert} {_NUMBERS} SELECT {source}"
            session.execute(text(statement.format(**values)))
        refresh_statistics(Communication, Delivery)


def _import_accounts(instance: Path) -> Iterator[str]:
    header = "external_id,name,email,account_type,timezone,phone"
    people = (f"N-{n},New {n},new{n}@example.org,Load,America/Chicago,+1415{4_000_000 + n}" for n in range(IMPORTED))
    content = "\n".join([header, *people]).encode()
    task_id = create_upload(ImportTaskKind.ACCOUNTS, content, "accounts.csv", SHELL_ACTOR, now_ms())
    yield _measure(instance, "check of an import", str(task_id), max_mb=150)
    confirm_upload(task_id, 1)
    yield _measure(instance, "import", str(task_id), max_mb=150)
    accounts = db.session.scalar(select(func.count(Account.id)))
    if accounts != _ACCOUNTS + 1 + IMPORTED:
        raise RuntimeError(f"there are {accounts} accounts")


def _measure(instance: Path, *task: str, max_mb: int = 100) -> str:
    db.session.rollback()
    with (
        serve_app(instance) as url,
        process_group("write_lock_probe", str(instance / "portal.sqlite")) as probes,
        process_group("record_worker", str(instance), *task) as (worker,),
    ):
        session = pages.sign_in(url)
        start_work(probes)
        start_work([worker])
        pages_ms = pages.load_while(session, url, _PAGES, lambda: worker.poll() is None)
        (cost,) = collect_results([worker])
        signal_stop(probes)
        (lock,) = collect_results(probes)
    p95_ms = max(map(pages.p95, pages_ms.values()))
    targets.at_most(f"{task[0]}: longest wait for the write lock", lock["longest_ms"], 100, "{:.0f} ms")
    targets.at_most(f"{task[0]}: p95 load time of the slowest page", p95_ms, 300, "{:.0f} ms")
    targets.at_most(f"{task[0]}: peak memory", cost["peak_mb"], max_mb, "{:.0f} MB")
    seconds, cpu_seconds, peak_mb = cost["seconds"], cost["cpu_seconds"], cost["peak_mb"]
    times = f"{seconds:.1f} | {cpu_seconds:.1f} | {peak_mb:.0f} MB"
    return f"| {task[0]} | {times} | {lock['longest_ms']:.0f} ms | {p95_ms:.0f} ms |"

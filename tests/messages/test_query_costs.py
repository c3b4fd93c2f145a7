"""Some queries read the same few rows, however many sends there were and however much waits."""

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import text, update

from benchmarks.searching import many_communications
from portal.core.clock import now_ms
from portal.core.extensions import db
from portal.core.keyset import newest_first
from portal.core.transaction import transaction
from portal.messages import total_maintenance
from portal.messages.tables.communications import Communication, Delivery
from portal.messages.tables.delivery_counts import channel_state_counts
from portal.messages.tables.delivery_totals import totals
from portal.messages.tables.unsent_messages import next_due_ms
from portal.records.rules.search_line import Viewer, parse_search_line
from portal.records.tables.communication_search import search_page
from portal.records.tables.search_index import send_subjects_containing
from portal.sends.tables.rounds import rounds_of
from tests.support.databases.query_cost import collected_queries, cost_of

_SENDS = """
    WITH RECURSIVE numbers (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < 3000)
    INSERT INTO send (template_version_id, audience, data, state, recipients, fan_out_cursor, created_at_ms,
        starts_at_ms, request_key)
    SELECT 1, '{}', '{}', 'done', 0, 0, 1, 0, CASE WHEN i < 25 THEN 'round:1:' ELSE 'form:' END || i FROM numbers
"""
_TOTALS = """
    INSERT INTO delivery_total (send_id, channel, hour, lane, kind, state, reason, shard, count)
    SELECT id, 'email', 10, 1, 'notification', 'handed_off', '', 0, 7 FROM send WHERE request_key <> ''
"""
_QUERIES: dict[str, tuple[Callable[[], object], int]] = {
    "oldest waiting": (lambda: next_due_ms("sms"), 100),
    "totals of all time": (channel_state_counts, 100),
    "rounds of a send": (lambda: rounds_of(1), 100),
    "subjects of sends": (lambda: send_subjects_containing("renewal", 10), 100),
    "word that few subjects have": (lambda: _search("renewal 2 is"), 1_500),
}
"""With how many rows may be read."""
_STEPS_PER_ROW = 20


def _search(words: str) -> None:
    query = parse_search_line(f'"{words}"', Viewer("UTC", "US", now_ms()))
    assert search_page(query, newest_first(Communication.id, 30), with_sms=True).rows


@pytest.fixture
def large_app(app: Flask) -> Flask:
    """4,000 communications, the texts of which are all due; 3,000 other sends, 24 of which are rounds of the first."""
    many_communications.add_communications(4_000)
    with transaction() as session:
        session.execute(update(Delivery).where(Delivery.channel == "sms").values(state="ready", due_at_ms=1))
        for statement in (_SENDS, _TOTALS):
            session.execute(text(statement))
    total_maintenance.count_earlier_totals(now_ms())
    with transaction() as session:
        session.execute(text("ANALYZE"))
    return app


def test_queries_read_few_rows_of_many(large_app: Flask) -> None:
    unit = _STEPS_PER_ROW if db.engine.name == "sqlite" else 1
    too_costly: dict[str, int] = {}
    for name, (run, rows) in _QUERIES.items():
        with collected_queries() as queries:
            run()
        db.session.rollback()
        cost = max(cost_of(query) for query in queries.values())
        too_costly |= {name: cost} if cost > rows * unit else {}
    assert too_costly == {}
    assert [row.request_key for row in rounds_of(1)] == [f"round:1:{number}" for number in range(1, 25)]


def test_totals_of_all_time_equal_the_sum_of_all_totals(large_app: Flask) -> None:
    def summed() -> dict[tuple[str, str], int]:
        return {(key[0], key[1]): total.count for key, total in totals(("channel", "state")).items()}

    assert channel_state_counts() == summed()
    with transaction() as session:
        session.execute(update(Delivery).where(Delivery.id == 1).values(created_at_ms=now_ms(), state="failed"))
        session.execute(update(Delivery).where(Delivery.id == 2).values(state="failed"))
    assert channel_state_counts() != summed(), "a change of an older message is counted within the hour"
    total_maintenance.count_earlier_totals(now_ms() + 3_600_000)
    assert channel_state_counts() == summed()

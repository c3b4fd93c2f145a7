"""Opt-outs and opt-ins from files: whole or nothing, counted rather than refused twice, and never against a STOP."""

import random
import time

import pytest
from sqlalchemy import func, select

from portal.accounts.tables.phone_numbers import PhoneNumber, PhoneState
from portal.consent import recording
from portal.consent.account_import import ImportRejected
from portal.consent.opt_in_import import (
    NUMBER_OPTED_OUT,
    SUPERSEDED_BY_EVENT,
    SUPERSEDED_BY_ROW,
    USED_BY_OTHER_ACCOUNT,
    import_opt_ins,
    plan_opt_ins,
)
from portal.consent.opt_out_import import OptOutImportPlan, import_opt_outs, plan_opt_outs
from portal.consent.rules import inbound_ordering
from portal.consent.rules.consent_state import EventKind
from portal.consent.tables.ledger import ConsentEvent, count_events
from portal.consent.tables.ledger_search import LedgerFilter, ledger_page
from portal.core.actor import SHELL_ACTOR
from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.core.keyset import newest_first
from portal.core.rules.csv_input import decode_csv
from portal.core.rules.time_format import format_utc, start_of_day_ms
from portal.core.transaction import transaction
from portal.gateways.provider import ProviderMessage
from portal.settings.live_gateway import message_created_ms
from tests.support import inbound_helpers, scenario, servers
from tests.support.inbound_helpers import MINUTE_MS

pytestmark = pytest.mark.usefixtures("app")
NUMBER = scenario.phone_number(0)
HEADER = "external_id,phone,opted_in_at,evidence"
DAY_MS = 86_400_000


def plan_counts(plan: OptOutImportPlan) -> tuple[int, int, int, int]:
    return plan.newly_opted_out, plan.superseded, plan.already_opted_out, plan.duplicates


def opt_in_csv(*lines: str) -> str:
    return "\n".join([HEADER, *lines])


def enabled_account(number: str, external_id: str, at_ms: int) -> int:
    """A new account whose number said START; its id."""
    (account_id,) = inbound_helpers.create_sharing_accounts(number, at_ms, external_id)
    inbound_helpers.receive_text("START", number, at_ms + 1)
    return account_id


def test_imported_opt_outs_end_texts_at_once(simulator: servers.SimulatorClient) -> None:
    scenario.configure_gateway()
    scenario.create_accounts(2, with_sms=2)
    scenario.add_template()
    scenario.create_expanded_send()
    plan = import_opt_outs(f"{NUMBER}\n{scenario.phone_number(7)}\n", SHELL_ACTOR, scenario.now_ms())
    scenario.run_sms_worker()
    assert [text["to"] for text in simulator.accepted_texts()] == [scenario.phone_number(1)]
    assert plan_counts(plan) == (2, 0, 0, 0)
    assert inbound_helpers.stored_consent_state(NUMBER) == ("P-0", True, False)
    assert inbound_helpers.stored_consent_state(scenario.phone_number(7)) == (None, True, False), "nobody ever saw it"


def test_known_opt_outs_are_counted_and_not_rewritten() -> None:
    now = scenario.now_ms()
    inbound_helpers.receive_text("STOP", NUMBER, now)
    text = f"{NUMBER}\n{scenario.phone_number(1)}\n{scenario.phone_number(1)}\n{scenario.phone_number(2)}"
    assert (
        plan_counts(plan_opt_outs(text, SHELL_ACTOR, now))
        == plan_counts(import_opt_outs(text, SHELL_ACTOR, now))
        == (2, 0, 1, 1)
    )
    assert plan_counts(import_opt_outs(text, SHELL_ACTOR, now + 1)) == (0, 0, 3, 1)
    assert count_events() == 3


def test_opt_out_older_than_start_is_recorded_without_effect() -> None:
    scenario.configure_gateway()
    now = scenario.now_ms()
    enabled_account(NUMBER, "P-1", now - DAY_MS)
    text = f"phone,stopped_at,reason\n{NUMBER},2024-05-01T12:00:00Z,the old system"
    assert plan_counts(import_opt_outs(text, SHELL_ACTOR, now)) == (0, 1, 0, 0)
    assert inbound_helpers.stored_consent_state(NUMBER) == ("P-1", False, False)
    assert plan_counts(import_opt_outs(text, SHELL_ACTOR, now)) == (0, 0, 1, 0), "it is in the ledger already"
    event = db.session.scalars(select(ConsentEvent).where(ConsentEvent.source == "import")).one()
    assert (event.text, event.detail, event.occurred_at_ms) == ("the old system", {"row": 2}, 1_714_564_800_000)


def test_opt_out_of_a_day_wins_over_start_of_that_day() -> None:
    scenario.configure_gateway()
    now_ms = scenario.now_ms()
    noon_ms = now_ms - now_ms % DAY_MS - DAY_MS // 2
    enabled_account(NUMBER, "P-0", noon_ms)
    day = format_utc(noon_ms)[:10]
    assert plan_counts(import_opt_outs(f"phone,stopped_at\n{NUMBER},{day}", SHELL_ACTOR, now_ms)) == (1, 0, 0, 0)
    later_ms = now_ms + 10 * MINUTE_MS
    inbound_helpers.receive_text("START", NUMBER, later_ms)
    assert plan_counts(import_opt_outs(f"phone,stopped_at\n{NUMBER},{day}", SHELL_ACTOR, later_ms + 1)) == (0, 0, 1, 0)
    assert inbound_helpers.stored_consent_state(NUMBER) == ("P-0", False, False)


def test_newest_opt_out_of_a_repeated_number_counts() -> None:
    scenario.configure_gateway()
    now = scenario.now_ms()
    enabled_account(NUMBER, "P-1", now - 2 * DAY_MS)
    text = f"phone,stopped_at\n{NUMBER},2024-05-01\n{NUMBER},{format_utc(now - DAY_MS)}\n{NUMBER},2024-06-01"
    assert plan_counts(import_opt_outs(text, SHELL_ACTOR, now)) == (1, 0, 0, 2)


def test_one_row_error_rejects_the_whole_file() -> None:
    with pytest.raises(ImportRejected) as rejected:
        import_opt_outs(f"{NUMBER}\n555\n{scenario.phone_number(1)}\nhello", SHELL_ACTOR, scenario.now_ms())
    assert [row_error.row for row_error in rejected.value.row_errors] == [2, 4]
    assert count_events() == 0
    assert db.session.scalar(select(func.count()).select_from(PhoneState)) == 0


@pytest.mark.parametrize("text", ["", "\n \n", "phone,stopped_at\n"])
def test_an_empty_file_is_refused(text: str) -> None:
    with pytest.raises(ActionRefused, match="There is nothing to import"):
        plan_opt_outs(text, SHELL_ACTOR, scenario.now_ms())


@pytest.mark.parametrize("raw", [b"", b" \n", b"\xff\xfe+\x001", b"+1202\x81", b"+1202\x00"])
def test_binary_file_is_refused(raw: bytes) -> None:
    with pytest.raises(ActionRefused):
        decode_csv(raw)


def test_ten_thousand_lines_are_imported() -> None:
    scenario.create_accounts(20, with_sms=20)
    lines = [f"+1415{200 + index // 10_000}{index % 10_000:04d}" for index in range(10_000)]
    began = time.process_time()
    plan = import_opt_outs("\n".join(lines), SHELL_ACTOR, scenario.now_ms())
    assert plan_counts(plan) == (10_000, 0, 0, 0)
    assert time.process_time() - began < 30
    assert db.session.scalar(select(func.count()).where(PhoneState.stopped_at_ms.is_not(None))) == 10_000
    assert count_events() == 10_020


def test_opt_in_enables_texts_and_adds_the_number() -> None:
    now = scenario.now_ms()
    inbound_helpers.new_account("P-1")
    admin_id = inbound_helpers.new_account("ADMIN", "admin")
    plan = import_opt_ins(
        opt_in_csv(f"P-1,{NUMBER},2026-02-01T09:00:00Z,Paper form 7"), inbound_helpers.make_actor(admin_id), now
    )
    assert (len(plan.applied), len(plan.evidence_only), len(plan.new_numbers)) == (1, 0, 1)
    assert inbound_helpers.stored_consent_state(NUMBER) == ("P-1", False, False)
    event = db.session.scalars(select(ConsentEvent)).one()
    assert (event.kind, event.text, event.actor_id) == ("opt_in", "Paper form 7", admin_id)
    phone = db.session.scalars(select(PhoneNumber)).one()
    assert phone.receives_sms_since_ms == event.occurred_at_ms == 1_769_936_400_000
    assert inbound_helpers.texts_of_kind("welcome") == [], "no texts are sent"


def test_opt_in_import_clears_no_stop() -> None:
    now = scenario.now_ms()
    inbound_helpers.new_account("P-1")
    inbound_helpers.receive_text("STOP", NUMBER, now - DAY_MS)
    plan = import_opt_ins(opt_in_csv(f"P-1,{NUMBER},{format_utc(now - MINUTE_MS)},Signed yesterday"), SHELL_ACTOR, now)
    assert [reason for _row, reason in plan.evidence_only] == [NUMBER_OPTED_OUT]
    assert inbound_helpers.stored_consent_state(NUMBER) == (None, True, False)
    assert inbound_helpers.ledger_kinds(NUMBER) == ["stop", "evidence"]


def test_opt_in_import_takes_texts_from_nobody() -> None:
    scenario.configure_gateway()
    now = scenario.now_ms()
    enabled_account(NUMBER, "P-1", now - DAY_MS)
    inbound_helpers.new_account("V-1")
    plan = import_opt_ins(opt_in_csv(f"V-1,{NUMBER},2026-02-01,Paper form"), SHELL_ACTOR, now)
    assert [reason for _row, reason in plan.evidence_only] == [USED_BY_OTHER_ACCOUNT]
    assert inbound_helpers.stored_consent_state(NUMBER) == ("P-1", False, False)
    assert inbound_helpers.notified_accounts("displaced") == []


def test_newer_of_two_opt_ins_for_a_number_wins() -> None:
    inbound_helpers.new_account("P-1")
    inbound_helpers.new_account("V-1")
    lines = opt_in_csv(f"P-1,{NUMBER},2026-02-01,Form", f"V-1,{NUMBER},2026-01-01,Form")
    plan = import_opt_ins(lines, SHELL_ACTOR, scenario.now_ms())
    assert [(row.external_id, reason) for row, reason in plan.evidence_only] == [("V-1", SUPERSEDED_BY_ROW)]
    assert inbound_helpers.stored_consent_state(NUMBER) == ("P-1", False, False)


def test_opt_in_before_the_number_was_removed_has_no_effect() -> None:
    now = scenario.now_ms()
    (account_id,) = inbound_helpers.create_sharing_accounts(NUMBER, now - DAY_MS, "P-1")
    with transaction():
        detail = {"added_at_ms": 0}
        recording.record(
            NUMBER, EventKind.REMOVED, "portal", now - MINUTE_MS, now, account_id=account_id, detail=detail
        )
    plan = import_opt_ins(opt_in_csv(f"P-1,{NUMBER},2026-02-01,Form"), SHELL_ACTOR, now)
    assert [reason for _row, reason in plan.evidence_only] == [SUPERSEDED_BY_EVENT]
    assert inbound_helpers.stored_consent_state(NUMBER) == (None, False, False)


def test_importing_a_file_twice_writes_nothing_new() -> None:
    inbound_helpers.new_account("P-1")
    lines = opt_in_csv(f"P-1,{NUMBER},2026-02-01,Form")
    import_opt_ins(lines, SHELL_ACTOR, scenario.now_ms())
    second_plan = import_opt_ins(lines, SHELL_ACTOR, scenario.now_ms())
    assert (second_plan.applied, second_plan.evidence_only, second_plan.already_recorded) == ([], [], 1)
    assert count_events() == 1


def test_unknown_account_or_eleventh_number_rejects_the_file() -> None:
    inbound_helpers.new_account("P-1")
    lines = [f"P-1,{scenario.phone_number(index)},2026-02-01,Form" for index in range(11)]
    with pytest.raises(ImportRejected) as rejected:
        import_opt_ins(
            opt_in_csv(*lines, f"P-9,{NUMBER},2026-02-01,Form", f"P-1,{NUMBER},2039-02-01,Form"),
            SHELL_ACTOR,
            scenario.now_ms(),
        )
    assert [(row_error.row, row_error.column) for row_error in rejected.value.row_errors] == [
        (12, "phone"),
        (13, "external_id"),
        (14, "opted_in_at"),
    ]
    assert count_events() == 0
    assert db.session.scalar(select(func.count()).select_from(PhoneNumber)) == 0


def test_preview_writes_nothing() -> None:
    inbound_helpers.new_account("P-1")
    plan_opt_ins(opt_in_csv(f"P-1,{NUMBER},2026-02-01,Form"), SHELL_ACTOR, scenario.now_ms())
    plan_opt_outs(NUMBER, SHELL_ACTOR, scenario.now_ms())
    assert count_events() == 0


def test_bulk_recompute_equals_single_recompute() -> None:
    """The same opt-outs over the same stories, in one file and each by itself."""
    scenario.configure_gateway()
    now, rng = scenario.now_ms(), random.Random(7)
    numbers = [scenario.phone_number(index) for index in range(15)]
    for index, number in enumerate(numbers):
        ids = inbound_helpers.create_sharing_accounts(number, 1, f"P-{index}", f"V-{index}")
        _random_history(number, ids, rng, now)
    stop_times = {number: now - rng.randrange(30) * DAY_MS for number in numbers}
    import_opt_outs(
        "phone,stopped_at\n" + "\n".join(f"{n},{format_utc(at)}" for n, at in stop_times.items()), SHELL_ACTOR, now
    )
    for number in numbers:
        together = inbound_helpers.stored_consent_state(number)
        with transaction():
            recording.recompute([number], now)
        assert inbound_helpers.stored_consent_state(number) == together, number


def _random_history(number: str, ids: list[int], rng: random.Random, now_ms: int) -> None:
    kinds = (
        EventKind.INVITED,
        EventKind.START,
        EventKind.STOP,
        EventKind.OPT_IN,
        EventKind.MOVED,
        EventKind.UNREACHABLE,
    )
    for day in sorted(rng.sample(range(8, 30), 6), reverse=True):
        account = {"account_id": rng.choice(ids)}
        with transaction():
            recording.record(number, rng.choice(kinds), "test", now_ms - day * DAY_MS, now_ms, **account)


def test_importing_an_older_stop_does_not_resend_the_welcome() -> None:
    scenario.configure_gateway()
    now = scenario.now_ms()
    (account_id,) = inbound_helpers.create_sharing_accounts(NUMBER, now - 300 * DAY_MS, "P-1")
    with transaction():
        recording.record(NUMBER, EventKind.OPT_IN, "import", now - 200 * DAY_MS, now, account_id=account_id)
        recording.record(NUMBER, EventKind.START, "handset", now - 20 * DAY_MS, now)
    import_opt_outs(f"phone,stopped_at\n{NUMBER},{format_utc(now - 100 * DAY_MS)}", SHELL_ACTOR, now)
    assert inbound_helpers.stored_consent_state(NUMBER) == ("P-1", False, False)
    inbound_helpers.receive_text("HELP", NUMBER, now)
    assert inbound_helpers.texts_of_kind("welcome") == []


def test_event_of_a_day_is_found_only_by_that_day() -> None:
    inbound_helpers.new_account("P-1")
    import_opt_ins(opt_in_csv(f"P-1,{NUMBER},2025-01-01,Form"), SHELL_ACTOR, scenario.now_ms())
    import_opt_outs("phone,stopped_at\n+14152000009,2025-01-01T03:00:00Z", SHELL_ACTOR, scenario.now_ms())

    def found(first: str, last: str, zone: str = "America/New_York") -> list[str]:
        since_ms, until_ms = start_of_day_ms(first, zone), start_of_day_ms(last, zone, days_later=1)
        ledger_filter = LedgerFilter(since_ms=since_ms, until_ms=until_ms, since_day=first, until_day=last)
        return [event.number for event in ledger_page(ledger_filter, newest_first(ConsentEvent.id, 10)).rows]

    assert found("2025-01-01", "2025-01-01") == [NUMBER]
    assert found("2024-12-31", "2024-12-31") == ["+14152000009"]
    assert found("2024-12-31", "2025-01-01") == ["+14152000009", NUMBER]
    assert found("2025-01-02", "2025-06-01") == []


@pytest.mark.parametrize(
    ("created", "clamped"),
    [
        ("Fri, 01 Mar 2062 00:00:00 +0000", True),
        ("Mon, 01 Jan 1900 00:00:00 +0000", True),
        ("Sun, 31 Dec 1989 23:59:59 +0000", True),
        ("", True),
        ("yesterday", True),
        ("Sun, 01 Mar 2026 00:00:00 -0000", False),
        ("Sun, 01 Mar 2026 00:00:00 +0000", False),
    ],
)
@pytest.mark.one_engine
def test_imported_times_are_neither_future_nor_before_sms(created: str, clamped: bool) -> None:
    now = scenario.now_ms()
    sent_ms = message_created_ms(
        ProviderMessage("SM1", NUMBER, servers.FROM_NUMBER, "STOP", "received", "", created, "inbound")
    )
    assert inbound_ordering.times_in_order([(sent_ms, None)], now) == [now if clamped else 1_772_323_200_999]

"""Opt-outs and opt-ins from files: whole or nothing, counted rather than refused twice, and never against a STOP."""

import random
import time

import handsets
import parts
import pytest
import world
from handsets import MINUTE_MS
from sqlalchemy import func, select

from portal.actions import consent
from portal.actions.accounts import ImportRefused
from portal.actions.asker import AT_THE_SHELL
from portal.actions.consent_import import StopPlan, decode, import_stops, plan_stops
from portal.actions.errors import Refused
from portal.actions.opt_in_import import HELD, NEWER, OVERTAKEN, STOPPED, import_opt_ins, plan_opt_ins
from portal.actions.transaction import transaction
from portal.actions.twilio_api import created_ms
from portal.domain import ordering
from portal.domain.consent import Kind
from portal.domain.moments import in_utc, start_of_day_ms
from portal.extensions import db
from portal.gateways.provider import Found
from portal.models.consent import ConsentEvent, count
from portal.models.consent_search import Sought, page
from portal.models.phone import Handset, PhoneNumber

pytestmark = pytest.mark.usefixtures("app")
NUMBER = world.number(0)
HEADER = "external_id,phone,opted_in_at,evidence"
DAY_MS = 86_400_000


def counts(plan: StopPlan) -> tuple[int, int, int, int]:
    return plan.silenced, plan.overtaken, plan.already, plan.twice


def opt_ins(*lines: str) -> str:
    return "\n".join([HEADER, *lines])


def agreed(number: str, external_id: str, at_ms: int) -> int:
    """A new account whose number said START; its id."""
    (account_id,) = handsets.shared(number, at_ms, external_id)
    handsets.says("START", number, at_ms + 1)
    return account_id


def test_imported_opt_outs_are_silent_at_once(simulator: parts.Simulator) -> None:
    world.open_gateway()
    world.people(2, with_sms=2)
    world.template()
    world.send()
    plan = import_stops(f"{NUMBER}\n{world.number(7)}\n", AT_THE_SHELL, world.now_ms())
    world.drain_texts()
    assert [text["to"] for text in simulator.texts()] == [world.number(1)]
    assert counts(plan) == (2, 0, 0, 0)
    assert handsets.standing(NUMBER) == ("P-0", True, False)
    assert handsets.standing(world.number(7)) == (None, True, False), "nobody ever saw it"


def test_repeated_and_stopped_numbers_are_counted_and_not_written_again() -> None:
    now = world.now_ms()
    handsets.says("STOP", NUMBER, now)
    text = f"{NUMBER}\n{world.number(1)}\n{world.number(1)}\n{world.number(2)}"
    assert counts(plan_stops(text, now)) == counts(import_stops(text, AT_THE_SHELL, now)) == (2, 0, 1, 1)
    assert counts(import_stops(text, AT_THE_SHELL, now + 1)) == (0, 0, 3, 1)
    assert count() == 3


def test_an_opt_out_older_than_a_start_is_kept_and_does_not_silence_the_number() -> None:
    world.open_gateway()
    now = world.now_ms()
    agreed(NUMBER, "P-1", now - DAY_MS)
    text = f"phone,stopped_at,reason\n{NUMBER},2024-05-01T12:00:00Z,the old system"
    assert counts(import_stops(text, AT_THE_SHELL, now)) == (0, 1, 0, 0)
    assert handsets.standing(NUMBER) == ("P-1", False, False)
    assert counts(import_stops(text, AT_THE_SHELL, now)) == (0, 0, 1, 0), "it is in the ledger already"
    event = db.session.scalars(select(ConsentEvent).where(ConsentEvent.source == "import")).one()
    assert (event.words, event.detail, event.occurred_at_ms) == ("the old system", {"row": 2}, 1_714_564_800_000)


def test_an_opt_out_of_a_day_wins_over_a_start_of_that_day() -> None:
    world.open_gateway()
    now_ms = world.now_ms()
    noon_ms = now_ms - now_ms % DAY_MS - DAY_MS // 2
    agreed(NUMBER, "P-0", noon_ms)
    day = in_utc(noon_ms)[:10]
    assert counts(import_stops(f"phone,stopped_at\n{NUMBER},{day}", AT_THE_SHELL, now_ms)) == (1, 0, 0, 0)
    later_ms = now_ms + 10 * MINUTE_MS
    handsets.says("START", NUMBER, later_ms)
    assert counts(import_stops(f"phone,stopped_at\n{NUMBER},{day}", AT_THE_SHELL, later_ms + 1)) == (0, 0, 1, 0)
    assert handsets.standing(NUMBER) == ("P-0", False, False)


def test_of_a_repeated_number_the_newest_opt_out_counts() -> None:
    world.open_gateway()
    now = world.now_ms()
    agreed(NUMBER, "P-1", now - 2 * DAY_MS)
    text = f"phone,stopped_at\n{NUMBER},2024-05-01\n{NUMBER},{in_utc(now - DAY_MS)}\n{NUMBER},2024-06-01"
    assert counts(import_stops(text, AT_THE_SHELL, now)) == (1, 0, 0, 2)


def test_one_mistake_and_nothing_is_imported() -> None:
    with pytest.raises(ImportRefused) as refused:
        import_stops(f"{NUMBER}\n555\n{world.number(1)}\nhello", AT_THE_SHELL, world.now_ms())
    assert [mistake.row for mistake in refused.value.mistakes] == [2, 4]
    assert count() == 0
    assert db.session.scalar(select(func.count()).select_from(Handset)) == 0


@pytest.mark.parametrize("text", ["", "\n \n", "phone,stopped_at\n"])
def test_an_empty_file_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="nothing in it"):
        plan_stops(text, world.now_ms())


@pytest.mark.parametrize("raw", [b"", b" \n", b"\xff\xfe+\x001", b"+1202\x81", b"+1202\x00"])
def test_a_file_that_is_no_text_is_refused(raw: bytes) -> None:
    with pytest.raises(Refused):
        decode(raw)


def test_ten_thousand_lines_go_through_in_one_piece() -> None:
    world.people(20, with_sms=20)
    lines = [f"+1415{200 + place // 10_000}{place % 10_000:04d}" for place in range(10_000)]
    began = time.process_time()
    plan = import_stops("\n".join(lines), AT_THE_SHELL, world.now_ms())
    assert counts(plan) == (10_000, 0, 0, 0)
    assert time.process_time() - began < 30
    assert db.session.scalar(select(func.count()).where(Handset.stopped_at_ms.is_not(None))) == 10_000
    assert count() == 10_020


def test_an_opt_in_brings_texts_and_puts_the_number_on_the_account() -> None:
    now = world.now_ms()
    account_id = handsets.account("P-1")
    plan = import_opt_ins(opt_ins(f"P-1,{NUMBER},2026-02-01T09:00:00Z,Paper form 7"), handsets.asker(account_id), now)
    assert (len(plan.given), len(plan.kept), len(plan.new_numbers)) == (1, 0, 1)
    assert handsets.standing(NUMBER) == ("P-1", False, False)
    event = db.session.scalars(select(ConsentEvent)).one()
    assert (event.kind, event.words, event.actor_id) == ("opt_in", "Paper form 7", account_id)
    phone = db.session.scalars(select(PhoneNumber)).one()
    assert phone.holds_sms_since_ms == event.occurred_at_ms == 1_769_936_400_000
    assert handsets.texts("welcome") == [], "nothing is texted"


def test_no_paper_lifts_a_stop() -> None:
    now = world.now_ms()
    handsets.account("P-1")
    handsets.says("STOP", NUMBER, now - DAY_MS)
    plan = import_opt_ins(opt_ins(f"P-1,{NUMBER},{in_utc(now - MINUTE_MS)},Signed yesterday"), AT_THE_SHELL, now)
    assert [why for _row, why in plan.kept] == [STOPPED]
    assert handsets.standing(NUMBER) == (None, True, False)
    assert handsets.kinds(NUMBER) == ["stop", "evidence"]


def test_nobody_loses_texts_to_paper() -> None:
    world.open_gateway()
    now = world.now_ms()
    agreed(NUMBER, "P-1", now - DAY_MS)
    handsets.account("V-1")
    plan = import_opt_ins(opt_ins(f"V-1,{NUMBER},2026-02-01,Paper form"), AT_THE_SHELL, now)
    assert [why for _row, why in plan.kept] == [HELD]
    assert handsets.standing(NUMBER) == ("P-1", False, False)
    assert handsets.told("displaced") == []


def test_of_two_opt_ins_of_one_number_the_newer_one_brings_the_texts() -> None:
    handsets.account("P-1")
    handsets.account("V-1")
    lines = opt_ins(f"P-1,{NUMBER},2026-02-01,Form", f"V-1,{NUMBER},2026-01-01,Form")
    plan = import_opt_ins(lines, AT_THE_SHELL, world.now_ms())
    assert [(row.external_id, why) for row, why in plan.kept] == [("V-1", NEWER)]
    assert handsets.standing(NUMBER) == ("P-1", False, False)


def test_an_opt_in_from_before_the_number_was_taken_off_the_account_brings_nothing() -> None:
    now = world.now_ms()
    (account_id,) = handsets.shared(NUMBER, now - DAY_MS, "P-1")
    with transaction():
        detail = {"added_at_ms": 0}
        consent.note(NUMBER, Kind.REMOVED, "portal", now - MINUTE_MS, now, account_id=account_id, detail=detail)
    plan = import_opt_ins(opt_ins(f"P-1,{NUMBER},2026-02-01,Form"), AT_THE_SHELL, now)
    assert [why for _row, why in plan.kept] == [OVERTAKEN]
    assert handsets.standing(NUMBER) == (None, False, False)


def test_the_same_file_twice_writes_nothing_the_second_time() -> None:
    handsets.account("P-1")
    lines = opt_ins(f"P-1,{NUMBER},2026-02-01,Form")
    import_opt_ins(lines, AT_THE_SHELL, world.now_ms())
    again = import_opt_ins(lines, AT_THE_SHELL, world.now_ms())
    assert (again.given, again.kept, again.already) == ([], [], 1)
    assert count() == 1


def test_unknown_accounts_and_an_eleventh_number_are_mistakes_and_nothing_is_imported() -> None:
    handsets.account("P-1")
    lines = [f"P-1,{world.number(place)},2026-02-01,Form" for place in range(11)]
    with pytest.raises(ImportRefused) as refused:
        import_opt_ins(
            opt_ins(*lines, f"P-9,{NUMBER},2026-02-01,Form", f"P-1,{NUMBER},2039-02-01,Form"), None, world.now_ms()
        )
    assert [(mistake.row, mistake.column) for mistake in refused.value.mistakes] == [
        (12, "phone"),
        (13, "external_id"),
        (14, "opted_in_at"),
    ]
    assert count() == 0
    assert db.session.scalar(select(func.count()).select_from(PhoneNumber)) == 0


def test_looking_first_writes_nothing() -> None:
    handsets.account("P-1")
    plan_opt_ins(opt_ins(f"P-1,{NUMBER},2026-02-01,Form"), world.now_ms())
    plan_stops(NUMBER, world.now_ms())
    assert count() == 0


def test_many_at_once_stand_as_they_would_one_by_one() -> None:
    """The same opt-outs over the same stories, in one file and each by itself."""
    world.open_gateway()
    now, dice = world.now_ms(), random.Random(7)
    numbers = [world.number(place) for place in range(30)]
    for place, number in enumerate(numbers):
        ids = handsets.shared(number, 1, f"P-{place}", f"V-{place}")
        _a_story(number, ids, dice, now)
    said = {number: now - dice.randrange(30) * DAY_MS for number in numbers}
    import_stops("phone,stopped_at\n" + "\n".join(f"{n},{in_utc(at)}" for n, at in said.items()), AT_THE_SHELL, now)
    for number in numbers:
        together = handsets.standing(number)
        with transaction():
            consent.settle(number, now)
        assert handsets.standing(number) == together, number


def _a_story(number: str, ids: list[int], dice: random.Random, now_ms: int) -> None:
    kinds = (Kind.INVITED, Kind.START, Kind.STOP, Kind.OPT_IN, Kind.MOVED, Kind.UNREACHABLE)
    for day in sorted(dice.sample(range(8, 30), 6), reverse=True):
        whose = {"account_id": dice.choice(ids)}
        with transaction():
            consent.note(number, dice.choice(kinds), "test", now_ms - day * DAY_MS, now_ms, **whose)


def test_a_start_of_long_ago_is_not_welcomed_when_an_older_stop_is_brought_in() -> None:
    world.open_gateway()
    now = world.now_ms()
    (account_id,) = handsets.shared(NUMBER, now - 300 * DAY_MS, "P-1")
    with transaction():
        consent.note(NUMBER, Kind.OPT_IN, "import", now - 200 * DAY_MS, now, account_id=account_id)
        consent.note(NUMBER, Kind.START, "handset", now - 20 * DAY_MS, now)
    import_stops(f"phone,stopped_at\n{NUMBER},{in_utc(now - 100 * DAY_MS)}", AT_THE_SHELL, now)
    assert handsets.standing(NUMBER) == ("P-1", False, False)
    handsets.says("HELP", NUMBER, now)
    assert handsets.texts("welcome") == []


def test_a_day_is_found_by_that_day_and_by_no_other() -> None:
    handsets.account("P-1")
    import_opt_ins(opt_ins(f"P-1,{NUMBER},2025-01-01,Form"), AT_THE_SHELL, world.now_ms())
    import_stops("phone,stopped_at\n+14152000009,2025-01-01T03:00:00Z", AT_THE_SHELL, world.now_ms())

    def found(first: str, last: str, zone: str = "America/New_York") -> list[str]:
        since_ms, until_ms = start_of_day_ms(first, zone), start_of_day_ms(last, zone, days_later=1)
        sought = Sought(since_ms=since_ms, until_ms=until_ms, since_day=first, until_day=last)
        return [event.number for event in page(sought, None, 10)]

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
def test_no_moment_of_the_providers_list_lies_ahead_of_now_or_before_texts(created: str, clamped: bool) -> None:
    now = world.now_ms()
    sent_ms = created_ms(Found("SM1", NUMBER, parts.FROM, "STOP", "received", "", created, "inbound"))
    (placed,) = ordering.place([ordering.Heard("SM1", sent_ms, None)], now)
    assert placed.at_ms == (now if clamped else 1_772_323_200_999)

"""Evidence as it leaves the portal: the exact words, who and when, safe to open, and checkable by whoever has it."""

import csv
import io
import json

import handsets
import parts
import pytest
import world
from handsets import MINUTE_MS
from sqlalchemy import select
from structlog.testing import capture_logs

from portal.actions import evidence, number_board
from portal.actions.accounts import NewAccount, create_account
from portal.actions.asker import AT_THE_SHELL
from portal.actions.consent_by_hand import opt_out
from portal.actions.consent_import import import_stops
from portal.actions.content import save_block
from portal.actions.evidence import Evidence, gather
from portal.actions.evidence_files import COLUMNS, as_csv, as_json
from portal.actions.invitations import prompt
from portal.domain import ledger, wording
from portal.domain.csv_output import unguarded
from portal.domain.moments import in_utc
from portal.extensions import db
from portal.models.account import Account
from portal.models.consent_search import Sought, count, page

pytestmark = pytest.mark.usefixtures("app")
NUMBER, OTHER, FRESH = world.number(0), world.number(1), world.number(2)
ZONE = "America/New_York"


@pytest.fixture(autouse=True)
def story(app: object) -> int:
    """When it began: an invitation, START, a text, STOP in other words, an opt-out by hand of another number."""
    world.open_gateway()
    began = world.now_ms() - 60 * MINUTE_MS
    (account_id,) = handsets.shared(NUMBER, began, "P-1")
    handsets.invite(account_id, NUMBER, began)
    handsets.says("START", NUMBER, began + MINUTE_MS)
    handsets.says("please stop texting me", NUMBER, began + 10 * MINUTE_MS)
    opt_out(OTHER, "phone", '=HYPERLINK("http://x")', handsets.asker(account_id), began + 20 * MINUTE_MS)
    return began


def gathered(form: str = "csv", **sought: object) -> Evidence:
    return gather(Sought(**sought), "a test", form, "A-1", ZONE, world.now_ms())  # type: ignore[arg-type]


def rows(found: Evidence) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO("".join(as_csv(found)).removeprefix("\ufeff"))))


def all_leave() -> None:
    """On a busy machine a slot passes before its text leaves, and the text takes another."""

    def none_is_left() -> bool:
        world.drain_texts(seconds=5)
        return not {"ready", "sending"} & world.states("sms").keys()

    parts.wait_for(none_is_left, "all texts to leave", 60)


@pytest.mark.one_engine
def test_a_csv_tells_who_when_and_by_what_exact_words(story: int) -> None:
    words = prompt(NUMBER)
    found = rows(gathered(number=NUMBER))
    assert tuple(found[0]) == COLUMNS
    assert [row["kind"] for row in found] == ["invited", "start", "stop"]
    invited = found[0]
    assert (invited["words_are"], unguarded(invited["words"])) == ("Words shown", words.text)
    assert (invited["wording"], invited["wording_version"]) == ("MyAccount → SMS Opt-in Confirmation Prompt", "0")
    assert (invited["ip"], invited["user_agent"]) == ("198.51.100.7", "a browser")
    assert (invited["account_number"], invited["by"]) == ("P-1", "Person P-1, P-1")
    assert invited["happened_at_utc"] == in_utc(story)
    assert invited["time_zone"] == ZONE
    assert invited["happened_at_local"].endswith(("EST", "EDT"))
    assert found[1]["effect"] == "Texts go to Person P-1, P-1 from here on."
    assert found[1]["message_sid"].startswith("SM")
    assert (found[2]["words"], found[2]["notes"]) == (
        "please stop texting me",
        "A refusal in other words, read as STOP.",
    )


@pytest.mark.one_engine
def test_a_csv_has_nothing_that_a_spreadsheet_runs() -> None:
    create_account(NewAccount("@SUM(A1)", "+cmd|x", "x@example.org", "Practitioner"), world.now_ms())
    name = db.session.scalars(select(Account.id).where(Account.external_id == "@SUM(A1)")).one()
    db.session.rollback()
    opt_out(OTHER, "email", "-1+1", handsets.asker(name), world.now_ms())
    handsets.says("=1+1 stop", NUMBER, world.now_ms())
    for row in rows(gathered()):
        for column, cell in row.items():
            assert column == "number" or not cell.startswith(("=", "+", "-", "@", "\t", "\r")), (column, cell)
    assert rows(gathered())[3]["words"] == '\'=HYPERLINK("http://x")'


def test_whoever_has_the_json_can_check_the_chain() -> None:
    found = json.loads("".join(as_json(gathered("json"))))
    previous = ledger.FIRST
    for one in found["events"]:
        assert one["event"]["previous"] == previous
        assert one["event"]["digest"] == ledger.digest(previous, one["event"])
        previous = one["event"]["digest"]
    assert previous == found["ledger"]["last_digest"]
    assert found["count"] == len(found["events"]) == 4


@pytest.mark.one_engine
def test_an_export_of_nothing_is_sound(story: int) -> None:
    assert rows(gathered(number=world.number(9))) == []
    assert json.loads("".join(as_json(gathered("json", number=world.number(9)))))["events"] == []


@pytest.mark.one_engine
def test_of_each_text_that_left_it_is_said_what_was_in_force_then(simulator: parts.Simulator, story: int) -> None:
    assert json.loads("".join(as_json(gathered("json", number=NUMBER))))["texts_that_left"] == []
    handsets.says("START", NUMBER, story + 30 * MINUTE_MS)
    world.template()
    world.send()
    all_leave()
    import_stops(f"phone,stopped_at\n{NUMBER},{in_utc(story + 31 * MINUTE_MS)}", AT_THE_SHELL, world.now_ms())
    assert handsets.standing(NUMBER) == ("P-1", True, False)
    found = json.loads("".join(as_json(gathered("json", number=NUMBER))))["texts_that_left"]
    allowed = {text["subject"]: text["allowed_by"] for text in found}
    assert allowed["Your renewal is due, Person"] == 5, "no STOP before it was known when it left"
    assert allowed["Invitation to get texts at (415) 200-0000"] == 1
    assert {text["account"] for text in found} == {"Person P-1, P-1"}
    assert {text["message_sid"] for text in found} == {text["sid"] for text in simulator.texts()}
    assert evidence.texts_left(OTHER) == []


@pytest.mark.one_engine
def test_each_text_that_left_is_exported_word_for_word_with_the_wording_it_was_made_from(
    simulator: parts.Simulator, story: int
) -> None:
    save_block(wording.WELCOME, "{{ organisation }}: welcome. HELP for help, STOP to end.", None, world.now_ms())
    handsets.says("START", NUMBER, world.now_ms() - 20 * MINUTE_MS)
    world.template()
    world.send()
    all_leave()
    left = {text["body"] for text in simulator.texts()}
    by_number = json.loads("".join(as_json(gathered("json", number=NUMBER))))["texts_that_left"]
    assert {text["words"] for text in by_number} == left
    assert {(text["wording"], text["wording_version"]) for text in by_number} == {
        (wording.title(wording.INVITATION), 0),
        (wording.title(wording.WELCOME), 0),
        (wording.title(wording.WELCOME), 1),
        ("Template Renewal (renewal)", 1),
    }
    asked = db.session.scalars(select(Account.id).where(Account.external_id == "P-1")).one()
    for sought in ({"number": NUMBER}, {"account_id": asked}):
        texts = [row for row in rows(gathered(**sought)) if row["kind"] == "text"]
        assert {row["words"] for row in texts} == left
        assert {row["message_sid"] for row in texts} == {text["sid"] for text in simulator.texts()}
        assert {row["account_number"] for row in texts} == {"P-1"}
        assert {row["notes"] for row in texts} == {f"Allowed by event {event}." for event in (1, 2, 5)}
    assert not [row for row in rows(gathered(number=OTHER)) if row["kind"] == "text"]


@pytest.mark.one_engine
def test_an_invitation_keeps_the_version_of_its_own_words(simulator: parts.Simulator) -> None:
    save_block(wording.INVITATION, "{{ organisation }}: reply START. STOP to end.", None, world.now_ms())
    (account_id,) = handsets.shared(FRESH, world.now_ms(), "P-2")
    handsets.invite(account_id, FRESH, world.now_ms())
    all_leave()
    (text,) = json.loads("".join(as_json(gathered("json", number=FRESH))))["texts_that_left"]
    assert (text["wording"], text["wording_version"]) == ("MyAccount → SMS Invitation Text", 1)
    assert text["words"].endswith(": reply START. STOP to end.")
    assert text["words"] in [left["body"] for left in simulator.texts()]
    whole = [row for row in rows(gathered()) if row["kind"] == "text"]
    assert [(row["number"], row["words"], row["notes"]) for row in whole] == [
        (FRESH, text["words"], f"Allowed by event {text['allowed_by']}.")
    ]
    assert json.loads("".join(as_json(gathered("json"))))["texts_that_left"] == [text]


@pytest.mark.one_engine
def test_what_we_answered_to_stop_and_help_is_kept_and_exported() -> None:
    now = world.now_ms()
    answers = [handsets.says(body, FRESH, now + turn) for turn, body in enumerate(["Help!", "no more texts", "hello"])]
    assert answers[0]
    assert answers[1]
    found = rows(gathered(number=FRESH))
    assert [(row["kind"], row["answer"]) for row in found] == [("help", answers[0]), ("stop", answers[1])]
    assert [row["answer_wording"] for row in found] == ["SMS → Answer to HELP", "SMS → Answer to STOP"]
    assert {row["answer_wording_version"] for row in found} == {"0"}
    events = json.loads("".join(as_json(gathered("json", number=FRESH))))["events"]
    assert [event["answer"]["words"] for event in events] == answers[:2]
    assert [happened.told.answer.words for happened in number_board.story(FRESH) if happened.told] == answers[:2]  # type: ignore[union-attr]


def test_an_export_is_narrowed_to_an_account_a_period_or_words(story: int) -> None:
    at_start = story + MINUTE_MS
    asked = db.session.scalars(select(Account.id).where(Account.external_id == "P-1")).one()
    sought = {
        "account": Sought(account_id=asked),
        "period": Sought(since_ms=at_start, until_ms=at_start + 1),
        "kind": Sought(kind="stop"),
        "name": Sought(words="person p-1"),
        "number": Sought(words="(415) 200-0001"),
        "part": Sought(words="2000001"),
        "nothing": Sought(words="100%"),
    }
    found = {name: [event.id for event in page(what, None, 10)] for name, what in sought.items()}
    assert found == {
        "account": [2, 1],
        "period": [2],
        "kind": [4, 3],
        "name": [2, 1],
        "number": [4],
        "part": [4],
        "nothing": [],
    }
    assert {name: count(what) for name, what in sought.items()} == {name: len(ids) for name, ids in found.items()}


def test_what_happens_after_an_export_was_begun_is_not_in_it() -> None:
    found = gathered()
    handsets.says("HELP", NUMBER, world.now_ms())
    assert len(rows(found)) == 4


@pytest.mark.one_engine
def test_an_export_is_noted_in_the_log_without_the_number() -> None:
    with capture_logs() as lines:
        gathered(number=NUMBER)
    (line,) = [line for line in lines if "evidence" in line["event"]]
    assert (line["by"], line["form"], line["kind"], line["events"]) == ("A-1", "csv", "number", 3)
    assert NUMBER not in json.dumps(lines)
    assert "2000000" not in json.dumps(lines)


def test_a_long_ledger_is_read_a_page_at_a_time() -> None:
    lines = [f"+1415{300 + place // 10_000}{place % 10_000:04d}" for place in range(2_500)]
    import_stops("\n".join(lines), AT_THE_SHELL, world.now_ms())
    found = rows(gathered(kind="stop"))
    assert [int(row["event"]) for row in found] == [3, 4, *range(5, 2_505)]

"""Evidence as it leaves the portal: the exact words, who and when, safe to open, and checkable by whoever has it."""

import csv
import io
import json

import pytest
from sqlalchemy import select
from structlog.testing import capture_logs

from portal.accounts.account_management import NewAccount, create_account
from portal.accounts.tables.accounts import Account
from portal.consent import consent_export, number_overview
from portal.consent.consent_export import ConsentExport, build_export
from portal.consent.consent_export_files import CSV_COLUMNS, export_csv, export_json
from portal.consent.invitations import opt_in_prompt
from portal.consent.manual_consent import opt_out
from portal.consent.opt_out_import import import_opt_outs
from portal.consent.rules import hash_chain
from portal.consent.tables.ledger import ConsentEvent
from portal.consent.tables.ledger_search import LedgerFilter, count_matching, ledger_page
from portal.content.content_blocks import save_block
from portal.content.rules import content_block_checks
from portal.core.actor import SHELL_ACTOR
from portal.core.extensions import db
from portal.core.keyset import newest_first
from portal.core.rules.csv_output import unescape_formulas
from portal.core.rules.time_format import format_utc
from tests.support import inbound_helpers, scenario, servers
from tests.support.inbound_helpers import MINUTE_MS

pytestmark = pytest.mark.usefixtures("app")
NUMBER, OTHER, UNUSED = scenario.phone_number(0), scenario.phone_number(1), scenario.phone_number(2)
ZONE = "America/New_York"


@pytest.fixture(autouse=True)
def consent_history_start_ms(app: object) -> int:
    """When it began: an invitation, START, a text, STOP in other words, an opt-out by hand of another number."""
    scenario.configure_gateway()
    began = scenario.now_ms() - 60 * MINUTE_MS
    (account_id,) = inbound_helpers.create_sharing_accounts(NUMBER, began, "P-1")
    inbound_helpers.invite(account_id, NUMBER, began)
    inbound_helpers.receive_text("START", NUMBER, began + MINUTE_MS)
    inbound_helpers.receive_text("please stop texting me", NUMBER, began + 10 * MINUTE_MS)
    opt_out(OTHER, "phone", '=HYPERLINK("http://x")', inbound_helpers.make_actor(account_id), began + 20 * MINUTE_MS)
    return began


def make_export(form: str = "csv", **ledger_filter: object) -> ConsentExport:
    return build_export(LedgerFilter(**ledger_filter), "a test", form, "A-1", ZONE, scenario.now_ms())  # type: ignore[arg-type]


def csv_rows(export: ConsentExport) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO("".join(export_csv(export)).removeprefix("\ufeff"))))


def drain_all_texts() -> None:
    """On a busy machine a slot passes before its text leaves, and the text takes another."""

    def none_is_left() -> bool:
        scenario.run_sms_worker(seconds=5)
        return not {"ready", "sending"} & scenario.count_states("sms").keys()

    servers.wait_for(none_is_left, "all texts to leave", 60)


@pytest.mark.one_engine
def test_csv_names_actor_time_and_exact_text(consent_history_start_ms: int) -> None:
    prompt = opt_in_prompt(NUMBER)
    rows = csv_rows(make_export(number=NUMBER))
    assert tuple(rows[0]) == CSV_COLUMNS
    assert [row["kind"] for row in rows] == ["invited", "start", "stop"]
    invited = rows[0]
    assert (invited["text_kind"], unescape_formulas(invited["text"])) == ("Prompt shown", prompt.text)
    assert (invited["wording"], invited["wording_version"]) == ("MyAccount → SMS Opt-in Confirmation Prompt", "0")
    assert (invited["ip"], invited["user_agent"]) == ("198.51.100.7", "a browser")
    assert (invited["account_number"], invited["actor"]) == ("P-1", "Person P-1, P-1")
    assert invited["occurred_at_utc"] == format_utc(consent_history_start_ms)
    assert invited["time_zone"] == ZONE
    assert invited["occurred_at_local"].endswith(("EST", "EDT"))
    assert rows[1]["effect"] == "After this, its texts go to Person P-1, P-1."
    assert rows[1]["message_sid"].startswith("SM")
    assert (rows[2]["text"], rows[2]["notes"]) == (
        "please stop texting me",
        "An opt-out in other words, read as STOP.",
    )


@pytest.mark.one_engine
def test_csv_is_safe_against_formula_injection() -> None:
    create_account(NewAccount("@SUM(A1)", "+cmd|x", "x@example.org", "Practitioner"), scenario.now_ms())
    name = db.session.scalars(select(Account.id).where(Account.external_id == "@SUM(A1)")).one()
    db.session.rollback()
    opt_out(OTHER, "email", "-1+1", inbound_helpers.make_actor(name), scenario.now_ms())
    inbound_helpers.receive_text("=1+1 stop", NUMBER, scenario.now_ms())
    for row in csv_rows(make_export()):
        for column, cell in row.items():
            assert column == "number" or not cell.startswith(("=", "+", "-", "@", "\t", "\r")), (column, cell)
    assert csv_rows(make_export())[3]["text"] == '\'=HYPERLINK("http://x")'


def test_json_export_allows_checking_the_chain() -> None:
    export = json.loads("".join(export_json(make_export("json"))))
    previous_digest = hash_chain.GENESIS_DIGEST
    for item in export["events"]:
        assert item["event"]["previous_digest"] == previous_digest
        assert item["event"]["digest"] == hash_chain.event_digest(previous_digest, item["event"])
        previous_digest = item["event"]["digest"]
    assert previous_digest == export["ledger"]["last_digest"]
    assert export["event_count"] == len(export["events"]) == 4


@pytest.mark.one_engine
def test_empty_export_is_valid(consent_history_start_ms: int) -> None:
    assert csv_rows(make_export(number=scenario.phone_number(9))) == []
    assert json.loads("".join(export_json(make_export("json", number=scenario.phone_number(9)))))["events"] == []


@pytest.mark.one_engine
def test_export_names_the_consent_in_force_for_each_text(
    simulator: servers.SimulatorClient, consent_history_start_ms: int
) -> None:
    assert json.loads("".join(export_json(make_export("json", number=NUMBER))))["sent_texts"] == []
    inbound_helpers.receive_text("START", NUMBER, consent_history_start_ms + 30 * MINUTE_MS)
    scenario.add_template()
    scenario.create_expanded_send()
    drain_all_texts()
    import_opt_outs(
        f"phone,stopped_at\n{NUMBER},{format_utc(consent_history_start_ms + 31 * MINUTE_MS)}",
        SHELL_ACTOR,
        scenario.now_ms(),
    )
    assert inbound_helpers.stored_consent_state(NUMBER) == ("P-1", True, False)
    texts = json.loads("".join(export_json(make_export("json", number=NUMBER))))["sent_texts"]
    allowed = {text["subject"]: text["authorised_by_event_id"] for text in texts}
    assert allowed["Your renewal is due, Person"] == 5, "no STOP before it was known when it left"
    assert allowed["Invitation to get texts at (415) 200-0000"] == 1
    assert {text["account"] for text in texts} == {"Person P-1, P-1"}
    assert {text["message_sid"] for text in texts} == {text["sid"] for text in simulator.accepted_texts()}
    assert consent_export.sent_texts_to(OTHER) == []


@pytest.mark.one_engine
def test_export_holds_each_sent_text_and_its_wording(
    simulator: servers.SimulatorClient, consent_history_start_ms: int
) -> None:
    save_block(
        content_block_checks.WELCOME_TEXT,
        "{{ organisation }}: welcome. HELP for help, STOP to end.",
        None,
        scenario.now_ms(),
    )
    inbound_helpers.receive_text("START", NUMBER, scenario.now_ms() - 20 * MINUTE_MS)
    scenario.add_template()
    scenario.create_expanded_send()
    drain_all_texts()
    sent_bodies = {text["body"] for text in simulator.accepted_texts()}
    by_number = json.loads("".join(export_json(make_export("json", number=NUMBER))))["sent_texts"]
    assert {text["text"] for text in by_number} == sent_bodies
    assert {(text["wording"], text["wording_version"]) for text in by_number} == {
        (content_block_checks.BLOCKS[content_block_checks.INVITATION_TEXT].title, 0),
        (content_block_checks.BLOCKS[content_block_checks.WELCOME_TEXT].title, 0),
        (content_block_checks.BLOCKS[content_block_checks.WELCOME_TEXT].title, 1),
        ("Template Renewal (renewal)", 1),
    }
    account_id = db.session.scalars(select(Account.id).where(Account.external_id == "P-1")).one()
    for ledger_filter in ({"number": NUMBER}, {"account_id": account_id}):
        texts = [row for row in csv_rows(make_export(**ledger_filter)) if row["kind"] == "text"]
        assert {row["text"] for row in texts} == sent_bodies
        assert {row["message_sid"] for row in texts} == {text["sid"] for text in simulator.accepted_texts()}
        assert {row["account_number"] for row in texts} == {"P-1"}
        assert {row["notes"] for row in texts} == {f"Allowed by: event {event}." for event in (1, 2, 5)}
    assert not [row for row in csv_rows(make_export(number=OTHER)) if row["kind"] == "text"]


@pytest.mark.one_engine
def test_invitation_records_its_wording_version(simulator: servers.SimulatorClient) -> None:
    save_block(
        content_block_checks.INVITATION_TEXT, "{{ organisation }}: reply START. STOP to end.", None, scenario.now_ms()
    )
    (account_id,) = inbound_helpers.create_sharing_accounts(UNUSED, scenario.now_ms(), "P-2")
    inbound_helpers.invite(account_id, UNUSED, scenario.now_ms())
    drain_all_texts()
    (text,) = json.loads("".join(export_json(make_export("json", number=UNUSED))))["sent_texts"]
    assert (text["wording"], text["wording_version"]) == ("MyAccount → SMS Invitation Text", 1)
    assert text["text"].endswith(": reply START. STOP to end.")
    assert text["text"] in [sent["body"] for sent in simulator.accepted_texts()]
    rows = [row for row in csv_rows(make_export()) if row["kind"] == "text"]
    assert [(row["number"], row["text"], row["notes"]) for row in rows] == [
        (UNUSED, text["text"], f"Allowed by: event {text['authorised_by_event_id']}.")
    ]
    assert json.loads("".join(export_json(make_export("json"))))["sent_texts"] == [text]


@pytest.mark.one_engine
def test_auto_replies_are_recorded_and_exported() -> None:
    now = scenario.now_ms()
    answers = [
        inbound_helpers.receive_text(body, UNUSED, now + offset)
        for offset, body in enumerate(["Help!", "no more texts", "hello"])
    ]
    assert answers[0]
    assert answers[1]
    rows = csv_rows(make_export(number=UNUSED))
    assert [(row["kind"], row["auto_reply"]) for row in rows] == [("help", answers[0]), ("stop", answers[1])]
    assert [row["auto_reply_wording"] for row in rows] == ["SMS → Reply to HELP", "SMS → Reply to STOP"]
    assert {row["auto_reply_wording_version"] for row in rows} == {"0"}
    events = json.loads("".join(export_json(make_export("json", number=UNUSED))))["events"]
    assert [event["auto_reply"]["text"] for event in events] == answers[:2]
    replies = [item.event.auto_reply for item in number_overview.number_history(UNUSED) if item.event]
    assert [reply.text for reply in replies if reply] == answers[:2]


def test_export_is_filtered_by_account_period_or_query(consent_history_start_ms: int) -> None:
    at_start = consent_history_start_ms + MINUTE_MS
    account_id = db.session.scalars(select(Account.id).where(Account.external_id == "P-1")).one()
    filters = {
        "account": LedgerFilter(account_id=account_id),
        "period": LedgerFilter(since_ms=at_start, until_ms=at_start + 1),
        "kind": LedgerFilter(kind="stop"),
        "name": LedgerFilter(query="person p-1"),
        "number": LedgerFilter(query="(415) 200-0001"),
        "part": LedgerFilter(query="2000001"),
        "nothing": LedgerFilter(query="100%"),
    }
    newest = newest_first(ConsentEvent.id, 10)
    event_ids = {name: [event.id for event in ledger_page(criteria, newest).rows] for name, criteria in filters.items()}
    assert event_ids == {
        "account": [2, 1],
        "period": [2],
        "kind": [4, 3],
        "name": [2, 1],
        "number": [4],
        "part": [4],
        "nothing": [],
    }
    assert {name: count_matching(criteria) for name, criteria in filters.items()} == {
        name: len(ids) for name, ids in event_ids.items()
    }


def test_export_excludes_events_after_it_began() -> None:
    export = make_export()
    inbound_helpers.receive_text("HELP", NUMBER, scenario.now_ms())
    assert len(csv_rows(export)) == 4


@pytest.mark.one_engine
def test_export_is_logged_without_the_number() -> None:
    with capture_logs() as lines:
        make_export(number=NUMBER)
    (line,) = [line for line in lines if line["event"] == "consent exported"]
    assert (line["actor"], line["file_format"], line["filter"], line["events"]) == ("A-1", "csv", "number", 3)
    assert NUMBER not in json.dumps(lines)
    assert "2000000" not in json.dumps(lines)


def test_long_ledger_is_read_in_pages() -> None:
    lines = [f"+1415{300 + index // 10_000}{index % 10_000:04d}" for index in range(2_500)]
    import_opt_outs("\n".join(lines), SHELL_ACTOR, scenario.now_ms())
    rows = csv_rows(make_export(kind="stop"))
    assert [int(row["event"]) for row in rows] == [3, 4, *range(5, 2_505)]

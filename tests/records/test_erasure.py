"""An erased account leaves its consent, and that something was sent; no import brings it back unnoticed."""

import io
import json
import zipfile
from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from portal.accounts import sign_in_records
from portal.accounts.account_attributes import set_attributes
from portal.accounts.tables.accounts import Account
from portal.accounts.tables.phone_numbers import is_stopped, phones_of
from portal.authentication.device_trust import trust_device
from portal.authentication.identity_connections import connect_identity
from portal.authentication.session_management import SessionClient, open_session
from portal.consent import account_import, account_phones, ledger_verification
from portal.consent.account_import import ImportRejected
from portal.consent.opt_in_import import plan_opt_ins
from portal.consent.tables.inbound_messages import InboundMessage
from portal.consent.tables.ledger import ConsentEvent
from portal.content.tables.topics import topics_off
from portal.content.topic_management import add_topic, choose_topics
from portal.core.actor import SHELL_ACTOR, Actor
from portal.core.audit_log import entries_about, record_audit_entry
from portal.core.errors import InvalidInput
from portal.core.extensions import Base, db
from portal.core.transaction import transaction
from portal.messages.tables.communications import Attempt, Communication, Delivery
from portal.operations.attribute_import import import_attributes
from portal.records import erasure, personal_data, search_indexing, search_saving
from portal.records.rules.search_line import Viewer
from portal.sends.fan_out import fan_out_send
from portal.sends.send_creation import create_send
from portal.sends.tables.recipient_files import RecipientFile, RecipientRow
from portal.sends.tables.saved_audiences import SavedAudience
from portal.sends.tables.sends import Send
from tests.support import scenario
from tests.support.inbound_helpers import receive_text

PHONE, SHARED_PHONE = scenario.phone_number(0), "+14152009999"
EVIDENCE = {"consent_event", "phone_state"}
NOW_MS = scenario.now_ms()
SYSADMIN = Actor(2, is_admin=True)


@pytest.fixture
def person(app: Flask) -> Iterator[int]:
    """Account 1, called Person 0, with attributes, a search, two numbers, texts to and from it, and a STOP on one."""
    scenario.configure_gateway()
    scenario.create_accounts(2, with_sms=2)
    scenario.add_attributes()
    with transaction() as session:
        session.get_one(Account, SYSADMIN.account_id).role = "sysadmin"
    for account_id in (1, 2):
        account_phones.add_number(account_id, SHARED_PHONE, "Home", NOW_MS)
    scenario.add_template(subject="Due, {{ name }}", body="Dear {{ name }} at {{ email }}: {{ note }}")
    scenario.create_expanded_send(audience={"external_ids": ["P-0"]})
    receive_text("Call me, says Person 0", PHONE, NOW_MS)
    receive_text("STOP", PHONE, NOW_MS + 1)
    connect_identity("P-0", "https://login.example.org", "Person 0", NOW_MS)
    search_saving.save_search(1, "Mine", 'to:"Person 0"', Viewer(now_ms=NOW_MS))
    with transaction() as session:
        for delivery in session.scalars(select(Delivery)):
            times = dict.fromkeys(("started_at_ms", "slot_at_ms", "lease_until_ms"), NOW_MS)
            attempt = Attempt(id=f"attempt-{delivery.id}", delivery_id=delivery.id, destination=delivery.address)
            attempt.detail = f"550 no such mailbox {delivery.address}"
            for name, at_ms in times.items():
                setattr(attempt, name, at_ms)
            session.add(attempt)
    search_indexing.index_new(lambda: NOW_MS + 600_000)
    yield 1
    db.session.rollback()


def erase(account_id: int = 1, confirmation: str = "p-0", actor: Actor = SYSADMIN) -> None:
    erasure.erase_account(account_id, confirmation, actor, NOW_MS)
    db.session.rollback()


def tables_with(*words: str) -> set[str]:
    """The tables in which a row contains one of the words."""
    db.session.rollback()
    found = set()
    for table in Base.metadata.sorted_tables:
        for row in db.session.execute(select(table)):
            text = json.dumps([str(value) for value in row], ensure_ascii=False)
            if any(word in text for word in words):
                found.add(table.name)
    return found


def test_only_evidence_keeps_personal_data(person: int) -> None:
    open_session(person, SessionClient("", "198.51.100.77"), "password", None, NOW_MS)
    sign_in_records.count_failed_sign_in([person], "198.51.100.77", NOW_MS)
    with transaction():
        for action in ("passkey_added", "passkey_used", "passkey_removed"):
            record_audit_entry(action, "account P-0", person, NOW_MS, account_id=person, passkey="Person 0’s phone")
    words = ("Person 0", "p0@example.org", PHONE, "An old friend", "2027-05-28", "Call me", "198.51.100.77")
    assert tables_with(*words) > EVIDENCE
    erase()
    sign_in_records.record_failed_sign_ins(NOW_MS + 3_600_000)
    assert tables_with(*words) - {"attribute"} <= EVIDENCE


def test_consent_and_the_fact_of_sending_stay(person: int) -> None:
    before = db.session.scalar(select(func.count()).select_from(ConsentEvent)) or 0
    erase()
    kinds = list(db.session.scalars(select(ConsentEvent.kind).order_by(ConsentEvent.id)))
    assert kinds[before:] == ["removed", "removed"]
    assert ledger_verification.verify_chain().is_valid
    assert is_stopped(PHONE)
    assert [phone.number for phone in phones_of(2)] == [scenario.phone_number(1), SHARED_PHONE]
    (item,) = db.session.scalars(select(Communication).where(Communication.account_id == person))
    assert (item.subject, item.body, item.send_id) == ("(erased)", "", 1)
    assert {delivery.state for delivery in item.deliveries} == {"canceled"}
    account = db.session.get_one(Account, person)
    assert (account.external_id, account.name, account.active) == ("P-0", "Erased account", False)
    (entry,) = entries_about("account P-0", ["account_erased"])
    assert (entry.actor_id, entry.detail["communications"]) == (2, 1)


def test_trusted_devices_are_in_the_download_and_erased(person: int) -> None:
    account = db.session.get_one(Account, person)
    trust_device(account, "", "Firefox (Linux)", NOW_MS)
    (device,) = personal_data.personal_data(db.session.get_one(Account, person), NOW_MS)["trusted_devices"]
    assert device["browser"] == "Firefox (Linux)"
    erase()
    assert tables_with("Firefox (Linux)") == set()


def test_switched_off_topics_are_forgotten(person: int) -> None:
    topic_id = add_topic("Exams", "About it.", [1], None, NOW_MS)
    choose_topics(person, [topic_id], [], Actor(person), NOW_MS)
    assert personal_data.personal_data(db.session.get_one(Account, person), NOW_MS)["topics_without_texts"] == ["Exams"]
    erase()
    assert topics_off(person) == set()
    (entry,) = entries_about("account P-0", ["topics_chosen"])
    assert entry.detail == {"account_id": person}


@pytest.mark.parametrize(
    ("confirmation", "actor", "problem"),
    [
        ("P-1", SYSADMIN, "Type the account number, P-0, to confirm."),
        ("", SYSADMIN, "Type the account number, P-0, to confirm."),
        ("P-0", Actor(1), "You cannot erase your own account."),
    ],
)
def test_erasure_needs_the_number_and_somebody_else(person: int, confirmation: str, actor: Actor, problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem):
        erase(person, confirmation, actor)
    assert db.session.get_one(Account, person).erased_at_ms is None


def test_erasure_waits_for_messages_in_flight(person: int) -> None:
    with transaction() as session:
        session.execute(update(Delivery).where(Delivery.channel == "email").values(state="unknown"))
    with pytest.raises(InvalidInput, match="outcome is not known yet"):
        erase()


def test_erasure_waits_until_the_order_of_texts_is_known(person: int) -> None:
    with transaction() as session:
        session.execute(update(InboundMessage).values(order_confirmed=False))
    with pytest.raises(InvalidInput, match="Try again in a minute"):
        erase()


def test_lists_of_accounts_lose_the_erased_one(person: int) -> None:
    """A longer number that begins like it stays."""
    listed = {"external_ids": ["P-0", "P-00", "P-1"]}
    with transaction() as session:
        times = {"created_at_ms": NOW_MS, "changed_at_ms": NOW_MS}
        session.add(SavedAudience(name="Board", name_folded="board", definition=listed, **times))
        file = RecipientFile(template_version_id=1, file_name="l.csv", digest="d", data={}, fields=[])
        file.created_at_ms = NOW_MS
        session.add(file)
        session.flush()
        for number, account_id in ((1, person), (2, None)):
            row = RecipientRow(file_id=file.id, row_number=number, account_id=account_id, is_good=True)
            row.external_id, row.data = "P-0", {"note": "Hers"}
            session.add(row)
    erase()
    assert db.session.scalars(select(SavedAudience.definition)).one() == {"external_ids": ["P-00", "P-1"]}
    assert db.session.scalars(select(Send.audience)).one() == {"external_ids": []}
    assert set(db.session.scalars(select(RecipientRow.external_id))) == {""}
    assert list(db.session.scalars(select(RecipientRow.data))) == [{}, {}]


def test_erasure_waits_for_sends_that_are_prepared(person: int) -> None:
    send_id = create_send("renewal", {"all": True}, {}, None, NOW_MS)
    with pytest.raises(InvalidInput, match="A send is being prepared"):
        erase()
    fan_out_send(send_id, lambda: NOW_MS)
    erase()


@pytest.mark.parametrize("name", ["accounts", "attributes", "opt-ins"])
def test_no_import_brings_the_person_back(person: int, name: str) -> None:
    erase()
    with pytest.raises(ImportRejected) as refusal:
        run_import(name)
    assert "The personal data of account P-0 was erased." in str(refusal.value.row_errors[0])


def run_import(name: str) -> None:
    if name == "accounts":
        row = f"p-0,Person 0,p0@example.org,Practitioner,user,UTC,{PHONE},2026-01-02,form"
        account_import.import_accounts(f"{scenario.ACCOUNT_CSV_HEADER}\n{row}\n".encode(), NOW_MS)
    elif name == "attributes":
        import_attributes(b"external_id,note\nP-0,Again\n", NOW_MS)
    else:
        plan_opt_ins(f"external_id,phone,opted_in_at,evidence\nP-0,{PHONE},2026-01-02,form\n", SHELL_ACTOR, NOW_MS)


def test_nobody_fills_an_erased_account_by_hand(person: int) -> None:
    erase()
    with pytest.raises(InvalidInput, match="was erased"):
        set_attributes(person, {"note": "Again"}, 2, NOW_MS)
    with pytest.raises(InvalidInput, match="was erased"):
        account_phones.add_number(person, "+14152008888", "", NOW_MS)


def test_download_holds_what_is_known_of_the_person(person: int) -> None:
    data = personal_data.personal_data(db.session.get_one(Account, person), NOW_MS)
    with zipfile.ZipFile(io.BytesIO(personal_data.zip_file(data, "<p>page</p>"))) as archive:
        assert json.loads(archive.read("personal-data.json")) == data
    assert data["account"]["email"] == "p0@example.org"
    assert data["attributes"]["Note"] == "An old friend"
    assert [phone["number"] for phone in data["phone_numbers"]] == [PHONE, SHARED_PHONE]
    (message,) = data["communications"]
    assert message["text"].startswith("Dear Person 0 at p0@example.org: An old friend")
    assert {delivery["channel"]: delivery["address"] for delivery in message["deliveries"]} == {
        "email": "p0@example.org",
        "sms": PHONE,
    }
    assert [identity["subject"] for identity in data["single_sign_on"]] == ["Person 0"]
    assert [text["text"] for text in data["texts_from_you"]] == ["Call me, says Person 0", "STOP"]
    assert [event["number"] for event in data["consent"]] == [PHONE]


def test_texts_from_a_number_without_consent_are_left_out(person: int) -> None:
    receive_text("A secret of the household", SHARED_PHONE, NOW_MS + 2)
    data = personal_data.personal_data(db.session.get_one(Account, person), NOW_MS)
    assert "A secret of the household" not in json.dumps(data)

"""Merging moves what one account has to the other, in the ledger too; an opt-out stays whatever is chosen."""

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from portal.accounts.account_attributes import set_attributes
from portal.accounts.tables.accounts import Account
from portal.accounts.tables.attributes import values_of
from portal.accounts.tables.phone_numbers import is_stopped, phones_of, recipients_by_number
from portal.authentication.identity_connections import connect_identity
from portal.authentication.tables.external_identities import find_external_identity
from portal.authentication.tables.totp_credentials import has_totp, replace_totp
from portal.consent import account_phones, invitations, ledger_verification
from portal.consent.tables.ledger import ConsentEvent, consented_numbers
from portal.content.tables.topics import TopicOptOut, count_opt_outs, topics_off
from portal.content.topic_management import add_topic
from portal.core.actor import Actor
from portal.core.audit_log import entries_about
from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.core.transaction import transaction
from portal.messages.tables.communications import Communication, Delivery
from portal.people.merging import LEAVING, STAYING, MergePlan, merge_accounts, plan_merge
from portal.records import personal_data
from tests.support import scenario, servers
from tests.support.inbound_helpers import receive_text

KEPT, GONE, OTHER = 1, 2, 3
"""The accounts that stays, that is merged into it, and a third one."""
ACTOR = Actor(OTHER, "192.0.2.1", is_admin=True)
GONE_PHONE = scenario.phone_number(1)
SHARED = "+14152009999"
NOW_MS = scenario.now_ms()
LATER_MS = NOW_MS + 7_200_000
"""When they are merged."""


@pytest.fixture(autouse=True)
def three_accounts(app: Flask) -> None:
    scenario.configure_gateway()
    scenario.create_accounts(3, with_sms=3)
    scenario.add_attributes()
    with transaction() as session:
        session.execute(update(Account).where(Account.id == OTHER).values(role="admin"))


def merge(choice: str = LEAVING, now_ms: int = LATER_MS) -> MergePlan:
    plan = plan_merge(KEPT, GONE, OTHER)
    merge_accounts(KEPT, GONE, dict.fromkeys(plan.choices, choice), plan.fingerprint, ACTOR, now_ms)
    return plan


def recipient_of(number: str) -> int | None:
    return recipients_by_number([number]).get(number, (None, None))[0]


def numbers_of(account_id: int) -> list[str]:
    db.session.expire_all()
    return [phone.number for phone in phones_of(account_id)]


def texts_of_kind(kind: str) -> int:
    return db.session.scalar(select(func.count()).where(Communication.kind == kind)) or 0


def test_merged_account_is_deactivated_with_a_link_and_an_audit_line() -> None:
    merge()
    gone = db.session.get_one(Account, GONE)
    assert (gone.active, gone.merged_into_id, gone.deactivated_at_ms) == (False, KEPT, LATER_MS)
    (entry,) = entries_about("account P-1", ["account_merged"])
    assert (entry.actor_id, entry.detail["to_account"], entry.detail["numbers"]) == (OTHER, "P-0", 1)


def test_ways_to_sign_in_to_the_merged_account_are_gone() -> None:
    connect_identity("P-1", "https://login.example.org", "subject-1", NOW_MS)
    with transaction():
        replace_totp(GONE, "encrypted", 0, NOW_MS)
    merge()
    assert not has_totp(GONE)
    assert find_external_identity("https://login.example.org", "subject-1") is None


def test_texts_of_a_number_go_to_the_account_that_took_it_over() -> None:
    merge()
    assert numbers_of(KEPT) == [scenario.phone_number(0), GONE_PHONE]
    assert (numbers_of(GONE), recipient_of(GONE_PHONE)) == ([], KEPT)
    assert GONE_PHONE in consented_numbers(KEPT)


def test_nobody_is_welcomed_again_or_told_that_texts_went_elsewhere() -> None:
    receive_text("STOP", GONE_PHONE, LATER_MS - 900_000)
    receive_text("START", GONE_PHONE, LATER_MS - 300_000)
    assert texts_of_kind("welcome") == 1
    merge()
    assert (texts_of_kind("welcome"), texts_of_kind("displaced")) == (1, 0)


def test_ledger_stays_whole_and_says_that_the_number_was_taken_over() -> None:
    before = db.session.execute(select(ConsentEvent.id, ConsentEvent.digest).order_by(ConsentEvent.id)).all()
    merge()
    rows = db.session.scalars(select(ConsentEvent).order_by(ConsentEvent.id)).all()
    assert [(row.id, row.digest) for row in rows[: len(before)]] == [tuple(row) for row in before]
    merged, removed = rows[len(before) :]
    assert (merged.kind, merged.account_id, merged.detail) == ("merged", KEPT, {"from_account_id": GONE})
    assert (removed.kind, removed.account_id, removed.actor_id, removed.ip) == ("removed", GONE, OTHER, "192.0.2.1")
    assert ledger_verification.verify_chain().first_break is None


def test_stop_survives_and_start_gives_the_texts_to_the_account_that_stayed() -> None:
    receive_text("STOP", GONE_PHONE, LATER_MS - 900_000)
    merge()
    assert is_stopped(GONE_PHONE)
    receive_text("START", GONE_PHONE, LATER_MS + 900_000)
    assert (is_stopped(GONE_PHONE), recipient_of(GONE_PHONE)) == (False, KEPT)


def test_stop_wins_over_either_choice() -> None:
    account_phones.add_number(KEPT, GONE_PHONE, "Home", LATER_MS - 1_000)
    receive_text("STOP", GONE_PHONE, LATER_MS - 900)
    for choice in (STAYING, LEAVING):
        plan = plan_merge(KEPT, GONE, OTHER)
        assert [move.is_opted_out for move in plan.numbers] == [True]
        chosen, fingerprint = dict.fromkeys(plan.choices, choice), plan.fingerprint
        if choice == STAYING:
            with pytest.raises(ActionRefused, match="Choose what is kept"):
                merge_accounts(KEPT, GONE, {}, fingerprint, ACTOR, LATER_MS)
        else:
            merge_accounts(KEPT, GONE, chosen, fingerprint, ACTOR, LATER_MS)
    assert is_stopped(GONE_PHONE)


@pytest.mark.parametrize(("choice", "recipient", "label"), [(STAYING, None, "Home"), (LEAVING, KEPT, "Work")])
def test_person_chooses_whose_consent_is_kept_for_a_number_of_both(
    choice: str, recipient: int | None, label: str
) -> None:
    account_phones.add_number(KEPT, GONE_PHONE, "Home", LATER_MS - 1_000)
    account_phones.relabel_number(phones_of(GONE)[0].id, GONE, "Work", ACTOR, NOW_MS)
    merge(choice)
    assert numbers_of(KEPT).count(GONE_PHONE) == 1
    assert recipient_of(GONE_PHONE) == recipient
    assert {phone.label for phone in phones_of(KEPT) if phone.number == GONE_PHONE} == {label}


def test_request_for_texts_moves_with_the_number() -> None:
    """Without a request, a START would leave it open which of the two accounts it means."""
    account_phones.add_number(OTHER, SHARED, "", LATER_MS - 3_000)
    phone_id = account_phones.add_number(GONE, SHARED, "", LATER_MS - 2_000)
    fingerprint = invitations.opt_in_prompt(SHARED).fingerprint
    invitations.invite(phone_id, ACTOR, fingerprint, LATER_MS - 1_000)
    merge()
    receive_text("START", SHARED, LATER_MS + 900_000)
    assert recipient_of(SHARED) == KEPT


def test_a_third_account_with_the_number_keeps_its_texts() -> None:
    account_phones.add_number(GONE, scenario.phone_number(2), "", LATER_MS - 1_000)
    merge()
    assert recipient_of(scenario.phone_number(2)) == OTHER


def test_attributes_are_filled_in_and_chosen_where_they_differ() -> None:
    set_attributes(GONE, {"region": "South", "note": "An old friend"}, None, NOW_MS)
    set_attributes(KEPT, {"note": ""}, None, NOW_MS)
    plan = plan_merge(KEPT, GONE, OTHER)
    assert plan.choices == ["attribute:region"]
    merge_accounts(KEPT, GONE, {"attribute:region": STAYING}, plan.fingerprint, ACTOR, NOW_MS)
    values = values_of([KEPT])[KEPT]
    assert (values["region"], values["note"]) == ("North", "An old friend")


@pytest.mark.parametrize(("own", "after"), [("", "es"), ("en", "en")])
def test_language_is_taken_over_by_an_account_without_one(own: str, after: str) -> None:
    for account_id, language in ((KEPT, own), (GONE, "es")):
        db.session.execute(update(Account).where(Account.id == account_id).values(language=language))
    db.session.commit()
    merge()
    assert db.session.get_one(Account, KEPT).language == after
    assert [entry.detail["to"] for entry in entries_about("account P-0", ["account_changed"])] == ["es"] * (not own)


def test_topics_that_either_has_switched_off_stay_so() -> None:
    topic_ids = [add_topic(name, "About it.", [], None, NOW_MS) for name in ("Exams", "Fees", "News")]
    with transaction() as session:
        session.add_all(
            TopicOptOut(account_id=account_id, topic_id=topic_id, switched_off_at_ms=NOW_MS)
            for account_id, topic_id in ((KEPT, topic_ids[0]), (GONE, topic_ids[0]), (GONE, topic_ids[1]))
        )
    merge()
    assert topics_off(KEPT) == set(topic_ids[:2])
    assert count_opt_outs() == dict.fromkeys(topic_ids[:2], 1)


def test_communications_move_but_those_of_a_send_that_both_got(simulator: servers.SimulatorClient) -> None:
    scenario.add_template()
    scenario.create_expanded_send(audience={"external_ids": ["P-1"]})
    scenario.create_expanded_send(audience={"external_ids": ["P-0", "P-1"]})
    plan = merge()
    assert (plan.communications, plan.shared_communications) == (1, 1)
    owners = select(Communication.account_id).order_by(Communication.id)
    assert list(db.session.scalars(owners)) == [KEPT, KEPT, GONE]
    scenario.run_sms_worker()
    scenario.run_email_worker()
    assert sorted(text["to"] for text in simulator.accepted_texts()) == [scenario.phone_number(0), GONE_PHONE]
    skipped = select(Delivery.channel).where(Delivery.reason == "account_deactivated").order_by(Delivery.channel)
    assert list(db.session.scalars(skipped)) == ["email", "sms"]


def test_own_data_have_the_consent_of_the_merged_account() -> None:
    merge()
    data = personal_data.personal_data(db.session.get_one(Account, KEPT), NOW_MS)
    assert GONE_PHONE in str(data["consent"])


def test_what_changed_since_the_preview_is_shown_first() -> None:
    fingerprint = plan_merge(KEPT, GONE, OTHER).fingerprint
    receive_text("STOP", GONE_PHONE, NOW_MS)
    with pytest.raises(ActionRefused, match="has changed since this page was opened"):
        merge_accounts(KEPT, GONE, {}, fingerprint, ACTOR, LATER_MS)
    assert db.session.get_one(Account, GONE).active


REFUSED = [
    (KEPT, KEPT, "cannot be merged with itself"),
    (KEPT, OTHER, "cannot deactivate your own account"),
    (KEPT, 99, "does not exist any more"),
]


def test_impossible_merges_are_refused() -> None:
    for staying, leaving, problem in REFUSED:
        with pytest.raises(ActionRefused, match=problem):
            merge_accounts(staying, leaving, {}, plan_merge(staying, leaving, OTHER).fingerprint, ACTOR, NOW_MS)
    merge()
    with pytest.raises(ActionRefused, match="was merged already"):
        plan_merge(OTHER, GONE, OTHER)
    with pytest.raises(ActionRefused, match="not active, so it cannot be the one that stays"):
        plan_merge(GONE, OTHER, OTHER)


def test_only_a_sysadmin_merges_the_account_of_one() -> None:
    with transaction() as session:
        session.execute(update(Account).where(Account.id == GONE).values(role="sysadmin"))
    with pytest.raises(ActionRefused, match="Only a system administrator"):
        plan_merge(KEPT, GONE, OTHER)
    with pytest.raises(ActionRefused, match="only active system administrator"):
        merge_accounts(KEPT, GONE, {}, plan_merge(KEPT, GONE, None).fingerprint, Actor(), NOW_MS)


def test_account_merged_earlier_follows_to_the_last_one() -> None:
    merge()
    plan = plan_merge(OTHER, KEPT, None)
    merge_accounts(OTHER, KEPT, dict.fromkeys(plan.choices, LEAVING), plan.fingerprint, Actor(), LATER_MS + 1)
    assert db.session.get_one(Account, GONE).merged_into_id == OTHER
    assert GONE_PHONE in consented_numbers(OTHER)

"""Who looks after a reply, and what administrators note about it."""

import pytest
from sqlalchemy import func, select

from portal.accounts.account_management import NewAccount, create_account
from portal.accounts.tables.accounts import Account
from portal.consent import manual_consent
from portal.consent.reply_work import MAX_NOTE_LENGTH, add_note, assign_reply
from portal.consent.tables.inbound_messages import InboundMessage, replies_page
from portal.consent.tables.reply_notes import notes_by_message
from portal.core import audit_log
from portal.core.actor import SHELL_ACTOR
from portal.core.errors import ActionRefused, InvalidInput
from portal.core.extensions import db
from tests.support import inbound_helpers, scenario

pytestmark = pytest.mark.usefixtures("app")

NOW = scenario.now_ms()


@pytest.fixture
def admin_ids(app: object) -> tuple[int, int]:
    accounts = [NewAccount(f"AD-{name}", name, f"{name}@example.org", "Staff", "admin") for name in ("Ada", "Bea")]
    ada_id, bea_id = (create_account(account, NOW) for account in accounts)
    return ada_id, bea_id


@pytest.fixture
def reply_id(app: object) -> int:
    inbound_helpers.receive_text("Who is this?", scenario.phone_number(0), NOW)
    return db.session.scalars(select(func.max(InboundMessage.id))).one()


def assignee(reply_id: int) -> int | None:
    db.session.rollback()
    return db.session.get_one(InboundMessage, reply_id).assigned_to_id


def test_reply_is_assigned_and_released(admin_ids: tuple[int, int], reply_id: int) -> None:
    ada_id, bea_id = admin_ids
    assign_reply(reply_id, ada_id, None, ada_id, NOW)
    assert [row.id for row in replies_page(False, None, 9, ada_id)] == [reply_id]
    assert replies_page(False, None, 9, bea_id) == replies_page(False, None, 9, 0) == []
    assign_reply(reply_id, None, ada_id, bea_id, NOW)
    assert (assignee(reply_id), [row.id for row in replies_page(False, None, 9, 0)]) == (None, [reply_id])
    entries = audit_log.entries_about(f"reply {reply_id}", ["reply_assigned"])
    assert [(entry.actor_id, entry.detail) for entry in entries] == [
        (ada_id, {"to": "Ada"}),
        (bea_id, {"to": "nobody"}),
    ]


def test_second_administrator_is_told_who_took_it(admin_ids: tuple[int, int], reply_id: int) -> None:
    ada_id, bea_id = admin_ids
    assign_reply(reply_id, ada_id, None, ada_id, NOW)
    with pytest.raises(ActionRefused, match="meanwhile the reply was assigned to Ada"):
        assign_reply(reply_id, bea_id, None, bea_id, NOW)
    assign_reply(reply_id, ada_id, None, ada_id, NOW)
    assert assignee(reply_id) == ada_id


def test_decided_reply_is_not_assigned(admin_ids: tuple[int, int], reply_id: int) -> None:
    manual_consent.decide_reply(reply_id, "nothing", SHELL_ACTOR, NOW)
    with pytest.raises(ActionRefused, match="An administrator chose: Closed without action"):
        assign_reply(reply_id, admin_ids[0], None, admin_ids[0], NOW)


def test_only_active_administrators_are_assigned(admin_ids: tuple[int, int], reply_id: int) -> None:
    ada_id, bea_id = admin_ids
    user_id = inbound_helpers.new_account("USER")
    db.session.get_one(Account, bea_id).active = False
    db.session.commit()
    for account_id in (user_id, bea_id, 999_999):
        with pytest.raises(InvalidInput, match="Choose an administrator from the list"):
            assign_reply(reply_id, account_id, None, ada_id, NOW)


def test_notes_keep_author_and_order(admin_ids: tuple[int, int], reply_id: int) -> None:
    ada_id, bea_id = admin_ids
    add_note(reply_id, " Called.\r\nNobody there.\x00 ", ada_id, NOW)
    add_note(reply_id, "Called.\nNobody there.", ada_id, NOW + 1)
    manual_consent.decide_reply(reply_id, "nothing", SHELL_ACTOR, NOW)
    add_note(reply_id, "Called.\nNobody there.", bea_id, NOW + 2)
    notes = notes_by_message([reply_id])[reply_id]
    expected = [("Ada", "Called.\nNobody there.", NOW), ("Bea", "Called.\nNobody there.", NOW + 2)]
    assert [(note.author.name, note.text, note.created_at_ms) for note in notes] == expected


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (" \x00\u200b\n", "Write the note."),
        ("x" * 2_000, f"Keep the note to {MAX_NOTE_LENGTH:,} characters; this has 2,000."),
    ],
)
def test_unusable_note_is_refused(admin_ids: tuple[int, int], reply_id: int, text: str, problem: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        add_note(reply_id, text, admin_ids[0], NOW)
    assert refusal.value.errors == {"note": problem}


def test_note_needs_an_existing_reply(admin_ids: tuple[int, int]) -> None:
    with pytest.raises(ActionRefused, match="There is no such reply"):
        add_note(77, "A note", admin_ids[0], NOW)

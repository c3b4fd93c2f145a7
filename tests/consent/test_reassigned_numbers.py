"""A number that passed from OLD to NEW: NEW's request survives a STOP, and OLD's texts never reach NEW's phone."""

from collections.abc import Callable

import pytest
from sqlalchemy import select

from portal.accounts.tables.accounts import Account
from portal.consent import account_import, account_phones, invitations, opt_in_import, opt_out_import
from portal.consent.invitations import RateLimited, WordingChanged
from portal.consent.manual_consent import decide_reply, move_texts
from portal.consent.tables.ledger import ConsentEvent
from portal.content.content_blocks import render_block, save_block
from portal.content.rules import content_block_checks
from portal.content.rules.block_languages import english_blocks
from portal.core.actor import SHELL_ACTOR
from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.messages.tables.communications import Communication, Delivery
from portal.settings import setting_changes
from tests.support import inbound_helpers, scenario, servers
from tests.support.inbound_helpers import MINUTE_MS

pytestmark = pytest.mark.usefixtures("app")
NUMBER = scenario.phone_number(0)
START_MS = scenario.now_ms()


def minutes_after_start(minutes: int) -> int:
    return START_MS + minutes * MINUTE_MS


@pytest.fixture(autouse=True)
def previous_owner(app: object) -> int:
    """The account whose texts have gone to the number for an hour."""
    scenario.configure_gateway()
    (account_id,) = inbound_helpers.create_sharing_accounts(NUMBER, minutes_after_start(-60), "OLD")
    inbound_helpers.receive_text("START", NUMBER, minutes_after_start(-59))
    assert inbound_helpers.stored_consent_state(NUMBER) == ("OLD", False, False)
    return account_id


def add_new_account(minutes: int = 0, external_id: str = "NEW") -> int:
    """An account that puts the number on it."""
    return inbound_helpers.create_sharing_accounts(NUMBER, minutes_after_start(minutes), external_id)[0]


def replies_to_review() -> list[int]:
    """The STARTs that wait for an administrator."""
    return [reply.id for reply in inbound_helpers.inbound_messages(NUMBER) if reply.needs_review and not reply.decision]


def latest_event(kind: str) -> ConsentEvent:
    query = select(ConsentEvent).where(ConsentEvent.kind == kind).order_by(ConsentEvent.id.desc())
    found = db.session.scalars(query).first()
    assert found is not None
    return found


def sms_bodies(kind: str) -> list[str]:
    """The words of the texts of a kind, oldest first."""
    db.session.remove()
    query = select(Delivery.body).join(Communication).where(Communication.kind == kind, Delivery.channel == "sms")
    return list(db.session.scalars(query.order_by(Delivery.id)))


def send_outcome_by_account() -> dict[str, tuple[str, str]]:
    """What becomes of everybody's text of a notification: account number to state and reason."""
    scenario.add_template()
    scenario.create_expanded_send()
    query = select(Account.external_id, Delivery.state, Delivery.reason).join(Communication, Delivery.communication)
    rows = db.session.execute(query.join(Account).where(Delivery.channel == "sms", Communication.send_id.is_not(None)))
    return {row.external_id: (row.state, row.reason) for row in rows}


def test_start_goes_to_the_account_that_requested_while_stopped() -> None:
    inbound_helpers.receive_text("STOP", NUMBER, minutes_after_start(-30))
    told = inbound_helpers.request_while_stopped(add_new_account(), NUMBER, minutes_after_start(1))
    assert told.endswith("text START from that phone to (202) 555-0100.")
    inbound_helpers.receive_text("START", NUMBER, minutes_after_start(5))
    assert inbound_helpers.stored_consent_state(NUMBER) == ("NEW", False, False)
    assert (inbound_helpers.notified_accounts("displaced"), replies_to_review()) == (["OLD"], [])
    assert sms_bodies("welcome")[-1].endswith(f"STOP to end. {english_blocks.WELCOME_MOVE_NOTICE}")
    assert send_outcome_by_account() == {"OLD": ("skipped", "other_account_receives"), "NEW": ("ready", "")}


def test_request_while_stopped_is_recorded_without_a_text() -> None:
    inbound_helpers.receive_text("STOP", NUMBER, minutes_after_start(-30))
    account_id, shown = add_new_account(), render_block(content_block_checks.OPT_IN_PROMPT, NUMBER)
    inbound_helpers.request_while_stopped(
        account_id, NUMBER, minutes_after_start(1), inbound_helpers.make_actor(account_id, ip="203.0.113.9")
    )
    event = latest_event("requested")
    assert (event.account_id, event.actor_id, event.source) == (account_id, account_id, "portal")
    assert (event.text, event.content_block, event.content_block_version) == (
        shown.text,
        content_block_checks.OPT_IN_PROMPT,
        shown.version,
    )
    assert (event.ip, event.user_agent, event.occurred_at_ms) == ("203.0.113.9", "a browser", minutes_after_start(1))
    assert sms_bodies("invitation") == []


def test_request_with_an_outdated_prompt_is_not_recorded() -> None:
    inbound_helpers.receive_text("STOP", NUMBER, minutes_after_start(-30))
    account_id, before = add_new_account(), invitations.opt_in_prompt(NUMBER).fingerprint
    save_block(
        content_block_checks.OPT_IN_PROMPT,
        "New words about {{ organisation }}. STOP ends them.",
        None,
        minutes_after_start(0),
    )
    with pytest.raises(WordingChanged):
        invitations.invite(
            inbound_helpers.phone_id(account_id, NUMBER),
            inbound_helpers.make_actor(account_id),
            before,
            minutes_after_start(1),
        )
    assert "requested" not in inbound_helpers.ledger_kinds(NUMBER)


def test_request_limits_apply_per_account_only() -> None:
    inbound_helpers.receive_text("STOP", NUMBER, minutes_after_start(-30))
    account_id, stranger = add_new_account(), add_new_account(0, "STRANGER")
    for minutes in range(10):
        inbound_helpers.request_while_stopped(stranger, NUMBER, minutes_after_start(1 + minutes))
    with pytest.raises(RateLimited, match="requested too many"):
        inbound_helpers.request_while_stopped(stranger, NUMBER, minutes_after_start(11))
    inbound_helpers.request_while_stopped(account_id, NUMBER, minutes_after_start(11))
    inbound_helpers.receive_text("START", NUMBER, minutes_after_start(15))
    assert inbound_helpers.stored_consent_state(NUMBER) == ("NEW", False, False)


def stop_then_start(minutes: int = 5) -> None:
    inbound_helpers.receive_text("STOP", NUMBER, minutes_after_start(minutes - 3))
    inbound_helpers.receive_text("START", NUMBER, minutes_after_start(minutes))


def added_on_page() -> None:
    add_new_account()
    stop_then_start()


def added_after_stop() -> None:
    inbound_helpers.receive_text("STOP", NUMBER, minutes_after_start(-30))
    add_new_account()
    inbound_helpers.receive_text("START", NUMBER, minutes_after_start(5))


def added_by_account_import() -> None:
    row = f"NEW,Somebody,n@example.org,Practitioner,user,UTC,{NUMBER},,"
    account_import.import_accounts(f"{scenario.ACCOUNT_CSV_HEADER}\n{row}".encode(), minutes_after_start(0))
    stop_then_start()


def added_while_unreachable() -> None:
    inbound_helpers.receive_error_receipt(1, NUMBER, "30005", minutes_after_start(-20))
    add_new_account()
    inbound_helpers.receive_text("START", NUMBER, minutes_after_start(5))


def added_and_removed() -> None:
    account_id = add_new_account()
    account_phones.remove_number(
        inbound_helpers.phone_id(account_id, NUMBER),
        account_id,
        inbound_helpers.make_actor(account_id),
        minutes_after_start(1),
    )
    stop_then_start()


def former_account_re_adds() -> None:
    add_new_account()
    account_phones.remove_number(
        inbound_helpers.phone_id(1, NUMBER), 1, inbound_helpers.make_actor(1), minutes_after_start(1)
    )
    account_phones.add_number(1, NUMBER, "", minutes_after_start(2))
    inbound_helpers.receive_text("START", NUMBER, minutes_after_start(5))


def stop_imported_later() -> None:
    add_new_account()
    inbound_helpers.receive_text("START", NUMBER, minutes_after_start(5))
    row = f"{NUMBER},{inbound_helpers.iso_time(minutes_after_start(-30))},the provider's list"
    opt_out_import.import_opt_outs(f"phone,stopped_at,reason\n{row}", SHELL_ACTOR, minutes_after_start(6))


def request_expired() -> None:
    inbound_helpers.receive_text("STOP", NUMBER, minutes_after_start(-30))
    inbound_helpers.request_while_stopped(add_new_account(), NUMBER, minutes_after_start(1))
    inbound_helpers.receive_text("START", NUMBER, minutes_after_start(31 * 24 * 60))


@pytest.mark.parametrize(
    "comes",
    [
        added_on_page,
        added_after_stop,
        added_by_account_import,
        added_while_unreachable,
        added_and_removed,
        former_account_re_adds,
        stop_imported_later,
        request_expired,
    ],
)
def test_start_without_a_request_waits_for_review(comes: Callable[[], None]) -> None:
    comes()
    assert inbound_helpers.stored_consent_state(NUMBER)[0] is None
    assert len(replies_to_review()) == 1
    assert latest_event("start").account_id is None
    assert {state for state, _reason in send_outcome_by_account().values()} <= {"skipped"}


def test_repeated_starts_make_one_review() -> None:
    added_after_stop()
    for minutes in range(10, 50):
        inbound_helpers.receive_text("START", NUMBER, minutes_after_start(minutes))
    last = inbound_helpers.ordered_inbound_messages(NUMBER)[-1].id
    assert replies_to_review() == [last]
    decide_reply(last, "moved", SHELL_ACTOR, minutes_after_start(60), account_id=2)
    assert (inbound_helpers.stored_consent_state(NUMBER)[0], replies_to_review()) == ("NEW", [])


def test_former_recipient_is_notified_of_decision_and_outcome(previous_owner: int) -> None:
    added_after_stop()
    assert (inbound_helpers.notified_accounts("decision_pending"), inbound_helpers.notified_accounts("displaced")) == (
        ["OLD"],
        [],
    )
    admin, (reply,) = inbound_helpers.new_account("ADMIN", "admin"), replies_to_review()
    decide_reply(reply, "moved", inbound_helpers.make_actor(admin), minutes_after_start(6), account_id=2)
    assert inbound_helpers.stored_consent_state(NUMBER) == ("NEW", False, False)
    assert (inbound_helpers.notified_accounts("displaced"), inbound_helpers.notified_accounts("texts_assigned")) == (
        ["OLD"],
        ["NEW"],
    )
    stop_then_start(20)
    assert inbound_helpers.stored_consent_state(NUMBER) == ("NEW", False, False), (
        "nobody got the number since the decision"
    )
    assert replies_to_review() == []


@pytest.mark.parametrize("who", [1, 2])
def test_confirming_reassigned_number_assigns_nobody(who: int) -> None:
    inbound_helpers.receive_error_receipt(1, NUMBER, "30005", minutes_after_start(-20))
    add_new_account()
    account_phones.confirm_number(
        inbound_helpers.phone_id(who, NUMBER), who, inbound_helpers.make_actor(who), minutes_after_start(1)
    )
    assert inbound_helpers.stored_consent_state(NUMBER) == (None, False, False)
    assert inbound_helpers.notified_accounts("decision_pending") == ["OLD"]
    inbound_helpers.invite(2, NUMBER, minutes_after_start(2))
    inbound_helpers.receive_text("START", NUMBER, minutes_after_start(5))
    assert inbound_helpers.stored_consent_state(NUMBER) == ("NEW", False, False)
    assert inbound_helpers.notified_accounts("displaced") == ["OLD"]


def test_new_accounts_invitation_resolves_the_review() -> None:
    added_after_stop()
    inbound_helpers.invite(2, NUMBER, minutes_after_start(6))
    inbound_helpers.receive_text("START", NUMBER, minutes_after_start(8))
    assert inbound_helpers.stored_consent_state(NUMBER) == ("NEW", False, False)
    assert inbound_helpers.notified_accounts("displaced") == ["OLD"]
    with pytest.raises(ActionRefused, match="is no longer waiting for an account"):
        decide_reply(replies_to_review()[0], "moved", SHELL_ACTOR, minutes_after_start(9), account_id=1)


def test_start_before_reassignment_goes_to_the_former_account(
    previous_owner: int, simulator: servers.SimulatorClient
) -> None:
    """It is heard of only after the wish, and a later START answers that."""
    inbound_helpers.receive_text("STOP", NUMBER, minutes_after_start(-30))
    inbound_helpers.seed_provider_messages(simulator, [("START", minutes_after_start(-5))], NUMBER)
    inbound_helpers.request_while_stopped(add_new_account(), NUMBER, minutes_after_start(1))
    inbound_helpers.run_inbound_checks(minutes_after_start(10))
    assert inbound_helpers.stored_consent_state(NUMBER) == ("OLD", False, False)
    assert latest_event("start").account_id == previous_owner
    inbound_helpers.receive_text("START", NUMBER, minutes_after_start(15))
    assert inbound_helpers.stored_consent_state(NUMBER) == ("NEW", False, False)


def test_invitation_refused_for_an_older_stop_stays_open() -> None:
    account_id = add_new_account()
    inbound_helpers.invite(account_id, NUMBER, minutes_after_start(1))
    inbound_helpers.receive_error_receipt(account_id, NUMBER, "21610", minutes_after_start(2))
    inbound_helpers.receive_text("START", NUMBER, minutes_after_start(6))
    assert inbound_helpers.stored_consent_state(NUMBER) == ("NEW", False, False)


def test_manual_move_to_the_former_account_persists() -> None:
    added_after_stop()
    move_texts(NUMBER, 1, SHELL_ACTOR, minutes_after_start(6))
    assert inbound_helpers.notified_accounts("displaced") == []
    stop_then_start(20)
    assert inbound_helpers.stored_consent_state(NUMBER) == ("OLD", False, False)


def import_opt_in(external_id: str, minutes: int) -> tuple[int, int]:
    """An opt-in of then, brought in now: how many are in force, how many are evidence."""
    row = f"{external_id},{NUMBER},{inbound_helpers.iso_time(minutes_after_start(minutes))},form 7"
    done = opt_in_import.import_opt_ins(
        f"external_id,phone,opted_in_at,evidence\n{row}", SHELL_ACTOR, minutes_after_start(30)
    )
    return len(done.applied), len(done.evidence_only)


def remove_from_former_account() -> None:
    account_phones.remove_number(
        inbound_helpers.phone_id(1, NUMBER), 1, inbound_helpers.make_actor(1), minutes_after_start(-50)
    )


@pytest.mark.parametrize(("minutes", "expected"), [(-40, (0, 1)), (10, (1, 0))])
def test_opt_in_older_than_another_account_is_evidence_only(minutes: int, expected: tuple[int, int]) -> None:
    remove_from_former_account()
    add_new_account()
    assert import_opt_in("OLD", minutes) == expected
    assert inbound_helpers.stored_consent_state(NUMBER)[0] == ("OLD" if expected[0] else None)


def test_accounts_with_the_same_email_do_not_block_each_other(previous_owner: int) -> None:
    remove_from_former_account()
    db.session.get_one(Account, add_new_account()).email = "OLD@example.org"
    db.session.commit()
    assert import_opt_in("OLD", -40) == (1, 0)


def test_account_import_does_not_enable_a_reassigned_number() -> None:
    remove_from_former_account()
    add_new_account()
    opted_in_at = inbound_helpers.iso_time(minutes_after_start(-40))
    row = f"THIRD,Somebody,t@example.org,Practitioner,user,UTC,{NUMBER},{opted_in_at},form"
    account_import.import_accounts(f"{scenario.ACCOUNT_CSV_HEADER}\n{row}".encode(), minutes_after_start(20))
    assert (inbound_helpers.stored_consent_state(NUMBER)[0], inbound_helpers.ledger_kinds(NUMBER)[-1]) == (
        None,
        "evidence",
    )


def test_invitation_page_hides_the_displaced_account() -> None:
    inbound_helpers.invite(add_new_account(), NUMBER, minutes_after_start(1))
    (text,) = sms_bodies("invitation")
    assert text.endswith(f"STOP to end. {english_blocks.INVITATION_MOVE_NOTICE}")
    page = db.session.scalars(select(Communication.body).where(Communication.kind == "invitation")).one()
    assert "another account" not in page


def test_no_consent_notifications_while_texts_are_off() -> None:
    setting_changes.set_setting("EnableSmsNotifications", "false", None, minutes_after_start(0))
    add_new_account()
    move_texts(NUMBER, 2, SHELL_ACTOR, minutes_after_start(1))
    assert inbound_helpers.notified_accounts("displaced") == ["OLD"]
    assert {(row.state, row.reason) for row in scenario.deliveries("email")} == {("skipped", "feature_off")}

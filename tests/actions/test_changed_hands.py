"""A number that went from OLD to NEW: NEW's wish is kept over a STOP, and OLD's texts never reach NEW's phone."""

from collections.abc import Callable

import handsets
import parts
import pytest
import world
from handsets import MINUTE_MS
from sqlalchemy import select

from portal.actions import accounts, consent_import, opt_in_import, phones
from portal.actions import settings as app_settings
from portal.actions.asker import AT_THE_SHELL
from portal.actions.consent_by_hand import decide_reply, move_texts
from portal.actions.content import save_block, words_of
from portal.actions.errors import Refused
from portal.actions.invitations import TooMany, WordingChanged
from portal.domain import wording
from portal.extensions import db
from portal.models.account import Account
from portal.models.communication import Communication, Delivery
from portal.models.consent import ConsentEvent

pytestmark = pytest.mark.usefixtures("app")
NUMBER = world.number(0)
BEGINS_MS = world.now_ms()


def at(minutes: int) -> int:
    return BEGINS_MS + minutes * MINUTE_MS


@pytest.fixture(autouse=True)
def old(app: object) -> int:
    """The account whose texts have gone to the number for an hour."""
    world.open_gateway()
    (account_id,) = handsets.shared(NUMBER, at(-60), "OLD")
    handsets.says("START", NUMBER, at(-59))
    assert handsets.standing(NUMBER) == ("OLD", False, False)
    return account_id


def new(minutes: int = 0, external_id: str = "NEW") -> int:
    """An account that puts the number on it."""
    return handsets.shared(NUMBER, at(minutes), external_id)[0]


def asked() -> list[int]:
    """The STARTs that wait for an administrator."""
    return [reply.id for reply in handsets.replies(NUMBER) if reply.asks and not reply.decision]


def newest(kind: str) -> ConsentEvent:
    query = select(ConsentEvent).where(ConsentEvent.kind == kind).order_by(ConsentEvent.id.desc())
    found = db.session.scalars(query).first()
    assert found is not None
    return found


def left(kind: str) -> list[str]:
    """The words of the texts of a kind, oldest first."""
    db.session.remove()
    query = select(Delivery.body).join(Communication).where(Communication.kind == kind, Delivery.channel == "sms")
    return list(db.session.scalars(query.order_by(Delivery.id)))


def texts_of_a_send() -> dict[str, tuple[str, str]]:
    """What becomes of everybody's text of a notification: account number to state and reason."""
    world.template()
    world.send()
    query = select(Account.external_id, Delivery.state, Delivery.reason).join(Communication, Delivery.communication)
    rows = db.session.execute(query.join(Account).where(Delivery.channel == "sms", Communication.send_id.is_not(None)))
    return {row.external_id: (row.state, row.reason) for row in rows}


def test_start_goes_to_who_asked_while_the_number_was_stopped() -> None:
    handsets.says("STOP", NUMBER, at(-30))
    told = handsets.wish(new(), NUMBER, at(1))
    assert told.endswith("text START from that phone to (202) 555-0100.")
    handsets.says("START", NUMBER, at(5))
    assert handsets.standing(NUMBER) == ("NEW", False, False)
    assert (handsets.told("displaced"), asked()) == (["OLD"], [])
    assert left("welcome")[-1].endswith(f"STOP to end. {wording.WELCOME_MOVED}")
    assert texts_of_a_send() == {"OLD": ("skipped", "held_by_other"), "NEW": ("ready", "")}


def test_the_wish_is_written_down_as_an_invitation_is_and_nothing_is_texted() -> None:
    handsets.says("STOP", NUMBER, at(-30))
    account_id, shown = new(), words_of(wording.PROMPT, NUMBER)
    handsets.wish(account_id, NUMBER, at(1), handsets.asker(account_id, ip="203.0.113.9"))
    event = newest("wished")
    assert (event.account_id, event.actor_id, event.source) == (account_id, account_id, "portal")
    assert (event.words, event.wording, event.wording_version) == (shown.text, wording.PROMPT, shown.version)
    assert (event.ip, event.user_agent, event.occurred_at_ms) == ("203.0.113.9", "a browser", at(1))
    assert left("invitation") == []


def test_a_wish_for_words_that_changed_since_they_were_read_is_not_kept() -> None:
    handsets.says("STOP", NUMBER, at(-30))
    account_id, before = new(), words_of(wording.PROMPT).version
    save_block(wording.PROMPT, "New words about {{ organisation }}. STOP ends them.", None, at(0))
    with pytest.raises(WordingChanged):
        handsets.invitations.invite(handsets.phone_id(account_id, NUMBER), handsets.asker(account_id), before, at(1))
    assert "wished" not in handsets.kinds(NUMBER)


def test_what_others_asked_for_keeps_nobody_from_a_wish_but_no_account_wishes_without_end() -> None:
    handsets.says("STOP", NUMBER, at(-30))
    account_id, stranger = new(), new(0, "STRANGER")
    for minutes in range(10):
        handsets.wish(stranger, NUMBER, at(1 + minutes))
    with pytest.raises(TooMany, match="asked for many"):
        handsets.wish(stranger, NUMBER, at(11))
    handsets.wish(account_id, NUMBER, at(11))
    handsets.says("START", NUMBER, at(15))
    assert handsets.standing(NUMBER) == ("NEW", False, False)


def opts_out_and_in(minutes: int = 5) -> None:
    handsets.says("STOP", NUMBER, at(minutes - 3))
    handsets.says("START", NUMBER, at(minutes))


def comes_by_page() -> None:
    new()
    opts_out_and_in()


def comes_after_the_stop() -> None:
    handsets.says("STOP", NUMBER, at(-30))
    new()
    handsets.says("START", NUMBER, at(5))


def comes_by_an_import_of_accounts() -> None:
    row = f"NEW,Somebody,n@example.org,Practitioner,user,UTC,{NUMBER},,"
    accounts.import_accounts(f"{world.HEADER}\n{row}".encode(), at(0))
    opts_out_and_in()


def comes_with_the_number_unreachable() -> None:
    handsets.carriers_news(1, NUMBER, "30005", at(-20))
    new()
    handsets.says("START", NUMBER, at(5))


def comes_and_leaves_again() -> None:
    account_id = new()
    phones.remove_number(handsets.phone_id(account_id, NUMBER), account_id, handsets.asker(account_id), at(1))
    opts_out_and_in()


def comes_and_the_former_owner_puts_the_number_back() -> None:
    new()
    phones.remove_number(handsets.phone_id(1, NUMBER), 1, handsets.asker(1), at(1))
    phones.add_number(1, NUMBER, "", at(2))
    handsets.says("START", NUMBER, at(5))


def comes_and_the_stop_is_heard_of_later() -> None:
    new()
    handsets.says("START", NUMBER, at(5))
    row = f"{NUMBER},{handsets.iso(at(-30))},the provider's list"
    consent_import.import_stops(f"phone,stopped_at,reason\n{row}", AT_THE_SHELL, at(6))


def comes_and_wished_too_long_ago() -> None:
    handsets.says("STOP", NUMBER, at(-30))
    handsets.wish(new(), NUMBER, at(1))
    handsets.says("START", NUMBER, at(31 * 24 * 60))


@pytest.mark.parametrize(
    "comes",
    [
        comes_by_page,
        comes_after_the_stop,
        comes_by_an_import_of_accounts,
        comes_with_the_number_unreachable,
        comes_and_leaves_again,
        comes_and_the_former_owner_puts_the_number_back,
        comes_and_the_stop_is_heard_of_later,
        comes_and_wished_too_long_ago,
    ],
)
def test_without_a_wish_nobody_gets_the_texts_and_an_administrator_is_asked(comes: Callable[[], None]) -> None:
    comes()
    assert handsets.standing(NUMBER)[0] is None
    assert len(asked()) == 1
    assert newest("start").account_id is None
    assert {state for state, _reason in texts_of_a_send().values()} <= {"skipped"}


def test_a_phone_that_says_start_again_and_again_is_one_question() -> None:
    comes_after_the_stop()
    for minutes in range(10, 50):
        handsets.says("START", NUMBER, at(minutes))
    last = handsets.in_order(NUMBER)[-1].id
    assert asked() == [last]
    decide_reply(last, "moved", AT_THE_SHELL, at(60), account_id=2)
    assert (handsets.standing(NUMBER)[0], asked()) == ("NEW", [])


def test_who_had_the_texts_is_told_that_they_wait_and_then_who_is_given_them(old: int) -> None:
    comes_after_the_stop()
    assert (handsets.told("waiting"), handsets.told("displaced")) == (["OLD"], [])
    admin, (reply,) = handsets.account("ADMIN"), asked()
    decide_reply(reply, "moved", handsets.asker(admin), at(6), account_id=2)
    assert handsets.standing(NUMBER) == ("NEW", False, False)
    assert (handsets.told("displaced"), handsets.told("given")) == (["OLD"], ["NEW"])
    opts_out_and_in(20)
    assert handsets.standing(NUMBER) == ("NEW", False, False), "nobody got the number since the decision"
    assert asked() == []


@pytest.mark.parametrize("who", [1, 2])
def test_a_dead_number_that_went_to_another_account_gets_nobodys_texts_by_a_confirmation(who: int) -> None:
    handsets.carriers_news(1, NUMBER, "30005", at(-20))
    new()
    phones.confirm_number(handsets.phone_id(who, NUMBER), who, handsets.asker(who), at(1))
    assert handsets.standing(NUMBER) == (None, False, False)
    assert handsets.told("waiting") == ["OLD"]
    handsets.invite(2, NUMBER, at(2))
    handsets.says("START", NUMBER, at(5))
    assert handsets.standing(NUMBER) == ("NEW", False, False)
    assert handsets.told("displaced") == ["OLD"]


def test_an_invitation_of_the_new_owner_settles_the_question_by_itself() -> None:
    comes_after_the_stop()
    handsets.invite(2, NUMBER, at(6))
    handsets.says("START", NUMBER, at(8))
    assert handsets.standing(NUMBER) == ("NEW", False, False)
    assert handsets.told("displaced") == ["OLD"]
    with pytest.raises(Refused, match="settled meanwhile"):
        decide_reply(asked()[0], "moved", AT_THE_SHELL, at(9), account_id=1)


def test_a_start_from_before_the_number_was_put_on_another_account_means_the_former_one(
    old: int, simulator: parts.Simulator
) -> None:
    """It is heard of only after the wish, and a later START answers that."""
    handsets.says("STOP", NUMBER, at(-30))
    handsets.seed(simulator, [("START", at(-5))], NUMBER)
    handsets.wish(new(), NUMBER, at(1))
    handsets.look(at(10))
    assert handsets.standing(NUMBER) == ("OLD", False, False)
    assert newest("start").account_id == old
    handsets.says("START", NUMBER, at(15))
    assert handsets.standing(NUMBER) == ("NEW", False, False)


def test_an_invitation_that_twilio_refused_for_an_older_stop_stays_a_request() -> None:
    account_id = new()
    handsets.invite(account_id, NUMBER, at(1))
    handsets.carriers_news(account_id, NUMBER, "21610", at(2))
    handsets.says("START", NUMBER, at(6))
    assert handsets.standing(NUMBER) == ("NEW", False, False)


def test_an_administrator_moves_the_texts_back_and_that_holds() -> None:
    comes_after_the_stop()
    move_texts(NUMBER, 1, AT_THE_SHELL, at(6))
    assert handsets.told("displaced") == []
    opts_out_and_in(20)
    assert handsets.standing(NUMBER) == ("OLD", False, False)


def paper(external_id: str, minutes: int) -> tuple[int, int]:
    """An opt-in of then, brought in now: how many are in force, how many are evidence."""
    row = f"{external_id},{NUMBER},{handsets.iso(at(minutes))},form 7"
    done = opt_in_import.import_opt_ins(f"external_id,phone,opted_in_at,evidence\n{row}", AT_THE_SHELL, at(30))
    return len(done.given), len(done.kept)


def removed_by_old() -> None:
    phones.remove_number(handsets.phone_id(1, NUMBER), 1, handsets.asker(1), at(-50))


@pytest.mark.parametrize(("minutes", "expected"), [(-40, (0, 1)), (10, (1, 0))])
def test_paper_older_than_another_accounts_place_is_evidence_only(minutes: int, expected: tuple[int, int]) -> None:
    removed_by_old()
    new()
    assert paper("OLD", minutes) == expected
    assert handsets.standing(NUMBER)[0] == ("OLD" if expected[0] else None)


def test_two_accounts_of_one_person_stand_not_in_each_others_way(old: int) -> None:
    removed_by_old()
    db.session.get_one(Account, new()).email = "OLD@example.org"
    db.session.commit()
    assert paper("OLD", -40) == (1, 0)


def test_an_import_of_accounts_brings_no_texts_to_a_number_that_went_to_another_account() -> None:
    removed_by_old()
    new()
    row = f"THIRD,Somebody,t@example.org,Practitioner,user,UTC,{NUMBER},{handsets.iso(at(-40))},form"
    accounts.import_accounts(f"{world.HEADER}\n{row}".encode(), at(20))
    assert (handsets.standing(NUMBER)[0], handsets.kinds(NUMBER)[-1]) == (None, "evidence")


def test_the_invitation_says_on_the_phone_what_start_ends_and_on_the_page_nothing_of_others() -> None:
    handsets.invite(new(), NUMBER, at(1))
    (text,) = left("invitation")
    assert text.endswith(f"STOP to end. {wording.INVITATION_MOVES}")
    page = db.session.scalars(select(Communication.body).where(Communication.kind == "invitation")).one()
    assert "another account" not in page


def test_while_texts_are_off_nobody_is_written_to_about_them() -> None:
    app_settings.set_setting("EnableSmsNotifications", "false", None, at(0))
    new()
    move_texts(NUMBER, 2, AT_THE_SHELL, at(1))
    assert handsets.told("displaced") == ["OLD"]
    assert {(row.state, row.reason) for row in world.deliveries("email")} == {("skipped", "feature_off")}

"""Communications that are sent again: the same words, each person at most once, decided anew."""

from collections.abc import Sequence

import pytest
from sqlalchemy import select

from portal.consent.recording import record
from portal.consent.rules.consent_state import EventKind
from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.core.rules.routing import Reason
from portal.core.transaction import transaction
from portal.messages.tables.communications import Communication, Delivery
from portal.records import sending_again
from portal.records.rules.search_line import Viewer
from portal.sends.fan_out import fan_out_send
from portal.sends.tables.resends import count_already_resent
from portal.sends.tables.sends import Send
from tests.support import scenario

pytestmark = pytest.mark.usefixtures("app")


@pytest.fixture
def first_send() -> int:
    scenario.configure_gateway()
    scenario.create_accounts(3, with_sms=2)
    scenario.add_template()
    return scenario.create_expanded_send()


def choose_everything() -> int:
    return sending_again.choose_found("", Viewer(now_ms=scenario.now_ms()), True, 1)


def confirm(resend_id: int) -> list[int]:
    send_ids = sending_again.confirm_resend(resend_id, 1, scenario.now_ms())
    for send_id in send_ids:
        fan_out_send(send_id, scenario.now_ms)
    return send_ids


def bodies(send_ids: Sequence[int]) -> list[str]:
    query = select(Communication.body).where(Communication.send_id.in_(send_ids)).order_by(Communication.account_id)
    return list(db.session.scalars(query))


def test_confirming_twice_sends_once(first_send: int) -> None:
    resend_id = choose_everything()
    send_ids = confirm(resend_id)
    assert confirm(resend_id) == send_ids
    assert len(bodies(send_ids)) == 3


def test_one_communication_goes_to_its_recipient_alone(first_send: int) -> None:
    own = db.session.scalars(select(Communication).where(Communication.send_id == first_send)).first()
    assert own is not None
    account_id, resend_id = own.account_id, sending_again.choose_one(own.id, 1, scenario.now_ms())
    (send_id,) = confirm(resend_id)
    assert list(db.session.scalars(select(Communication.account_id).where(Communication.send_id == send_id))) == [
        account_id
    ]


def test_words_are_those_of_the_earlier_version(first_send: int) -> None:
    before = bodies([first_send])
    scenario.save_template(body="Other words.")
    assert bodies(confirm(choose_everything())) == before


def test_same_words_from_two_sends_reach_a_person_once(first_send: int) -> None:
    second = scenario.create_expanded_send()
    assert bodies([first_send]) == bodies([second])
    send_ids = confirm(choose_everything())
    assert len(send_ids) == 1
    assert len(bodies(send_ids)) == 3


def test_other_words_are_a_send_of_their_own(first_send: int) -> None:
    scenario.save_template(body="Other words.")
    scenario.create_expanded_send()
    send_ids = confirm(choose_everything())
    assert [len(bodies([send_id])) for send_id in send_ids] == [3, 3]


def test_phone_that_stopped_meanwhile_gets_no_text(first_send: int) -> None:
    resend_id = choose_everything()
    with transaction():
        record(scenario.phone_number(0), EventKind.STOP, "handset", scenario.now_ms(), scenario.now_ms())
    (part,) = sending_again.resend_parts(resend_id, scenario.now_ms())
    assert part.plan is not None
    assert (part.plan.texts, dict(part.plan.reasons)[Reason.STOPPED]) == (1, 1)
    (send_id,) = confirm(resend_id)
    texts = select(Delivery.state).where(Delivery.send_id == send_id, Delivery.channel == "sms")
    assert sorted(db.session.scalars(texts)) == ["ready", "skipped", "skipped"]


def test_earlier_confirmation_is_counted(first_send: int) -> None:
    confirm(choose_everything())
    one = db.session.scalars(select(Communication.id).where(Communication.send_id == first_send)).first()
    assert one is not None
    resend_id = sending_again.choose_one(one, 1, scenario.now_ms())
    assert count_already_resent(resend_id) == 1
    ((_resend, send),) = sending_again.sends_of_communication(one)
    assert isinstance(send, Send)


def test_nothing_to_send_again_is_refused() -> None:
    with pytest.raises(ActionRefused, match="only messages of a send can"):
        choose_everything()

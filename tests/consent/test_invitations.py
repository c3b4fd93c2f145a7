"""Asking for an invitation: the ledger first, the limits kept for everybody at once, refusals that say when."""

import dataclasses
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask
from sqlalchemy import select

from portal.accounts.tables.phone_numbers import PhoneNumber
from portal.consent import account_phones, invitations
from portal.consent.invitations import RateLimited, WordingChanged
from portal.consent.tables.ledger import ConsentEvent
from portal.content import content_blocks
from portal.content.rules import content_block_checks
from portal.core.database_retry import retry_on_database_error
from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.core.transaction import transaction
from portal.messages.tables.communications import Communication, Delivery
from portal.settings import setting_changes
from tests.support import inbound_helpers, scenario, servers

pytestmark = pytest.mark.usefixtures("app")

NOW = scenario.now_ms()
NUMBER = scenario.phone_number(0)
MINUTE_MS = inbound_helpers.MINUTE_MS
DAY_MS = 24 * 60 * MINUTE_MS


@pytest.fixture
def account_id_fixture(app: Flask) -> int:
    """The id of an account that carries the number."""
    scenario.configure_gateway()
    return inbound_helpers.create_sharing_accounts(NUMBER, NOW, "A")[0]


def ledger_rows() -> list[ConsentEvent]:
    db.session.remove()
    return list(db.session.scalars(select(ConsentEvent).order_by(ConsentEvent.id)))


def override_settings(app: Flask, **changes: object) -> None:
    app.config["PORTAL"] = dataclasses.replace(app.config["PORTAL"], **changes)


def limit_ends_at(ask: Callable[[], object]) -> int:
    """When the refusal says to try again."""
    with pytest.raises(RateLimited) as refused:
        ask()
    assert str(refused.value)
    return refused.value.retry_at_ms


def test_request_and_prompt_are_recorded_before_the_text_leaves(
    account_id_fixture: int, simulator: servers.SimulatorClient
) -> None:
    shown = content_blocks.render_block(content_block_checks.OPT_IN_PROMPT, NUMBER)
    event_id = inbound_helpers.invite(account_id_fixture, NUMBER, NOW)
    (event,) = ledger_rows()
    assert (event.id, event.kind, event.source, event.number) == (event_id, "invited", "portal", NUMBER)
    assert (event.account_id, event.actor_id, event.ip, event.user_agent) == (
        account_id_fixture,
        account_id_fixture,
        "198.51.100.7",
        "a browser",
    )
    assert (event.text, event.content_block, event.content_block_version) == (
        shown.text,
        content_block_checks.OPT_IN_PROMPT,
        shown.version,
    )
    assert simulator.accepted_texts() == [], "the ledger comes first"
    text = db.session.scalars(select(Delivery)).one()
    assert (text.address, text.state, text.lane) == (NUMBER, "ready", 0)
    assert text.communication.consent_event_id == event_id
    scenario.run_sms_worker()
    (sent,) = simulator.accepted_texts()
    assert (sent["to"], sent["body"]) == (
        NUMBER,
        content_blocks.render_block(content_block_checks.INVITATION_TEXT, NUMBER).text,
    )
    assert "START" in sent["body"]


def test_acting_administrator_is_recorded(account_id_fixture: int) -> None:
    admin = inbound_helpers.new_account("ADMIN", "admin")
    inbound_helpers.invite(account_id_fixture, NUMBER, NOW, inbound_helpers.make_actor(admin, by_admin=True))
    (event,) = ledger_rows()
    assert (event.account_id, event.actor_id) == (account_id_fixture, admin)


def test_concurrent_requests_send_one_invitation(
    app: Flask, account_id_fixture: int, simulator: servers.SimulatorClient
) -> None:
    phone_id = inbound_helpers.phone_id(account_id_fixture, NUMBER)
    prompt = invitations.opt_in_prompt(NUMBER).fingerprint
    db.session.remove()  # no transaction stays open while the threads work

    def ask(turn: int) -> int:
        with app.app_context():
            try:
                actor = inbound_helpers.make_actor(account_id_fixture, ip=f"198.51.100.{turn}")
                # SQLite lets its writers wait without a queue, so one may time out on a busy machine
                retry_on_database_error(lambda: invitations.invite(phone_id, actor, prompt, NOW))
            except RateLimited as refused:
                return refused.retry_at_ms
            finally:
                db.session.remove()
        return 0

    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(ask, range(120)))
    assert sorted(answers) == [0, *[NOW + 10 * MINUTE_MS] * 119]
    assert len(ledger_rows()) == 1
    scenario.run_sms_worker()
    assert len(simulator.accepted_texts()) == 1


def test_number_limits_apply_whoever_requests(account_id_fixture: int) -> None:
    (other,) = inbound_helpers.create_sharing_accounts(NUMBER, NOW, "B")
    admin = inbound_helpers.make_actor(inbound_helpers.new_account("ADMIN", "admin"), by_admin=True)
    first = NOW + 60_000
    inbound_helpers.invite(account_id_fixture, NUMBER, first)
    assert limit_ends_at(lambda: inbound_helpers.invite(other, NUMBER, first + 1)) == first + 10 * MINUTE_MS
    assert (
        limit_ends_at(lambda: inbound_helpers.invite(account_id_fixture, NUMBER, first + 10 * MINUTE_MS - 1, admin))
        == first + 10 * MINUTE_MS
    )
    inbound_helpers.invite(other, NUMBER, first + 10 * MINUTE_MS)
    inbound_helpers.invite(account_id_fixture, NUMBER, first + 20 * MINUTE_MS, admin)
    assert (
        limit_ends_at(lambda: inbound_helpers.invite(account_id_fixture, NUMBER, first + 30 * MINUTE_MS, admin))
        == first + DAY_MS
    )
    inbound_helpers.invite(account_id_fixture, NUMBER, first + DAY_MS)
    assert len(ledger_rows()) == 4, "what is refused is not written"


def test_account_limit_is_ten_requests_a_day(account_id_fixture: int) -> None:
    numbers = [NUMBER, *(scenario.phone_number(index) for index in range(1, 10))]
    for index, number in enumerate(numbers):
        if number != NUMBER:
            account_phones.add_number(account_id_fixture, number, "", NOW)
        inbound_helpers.invite(
            account_id_fixture,
            number,
            NOW + index * 1_000,
            inbound_helpers.make_actor(account_id_fixture, ip=f"198.51.100.{index}"),
        )
    later = NOW + 20 * MINUTE_MS
    assert limit_ends_at(lambda: inbound_helpers.invite(account_id_fixture, NUMBER, later)) == NOW + DAY_MS
    inbound_helpers.invite(
        account_id_fixture, NUMBER, later, inbound_helpers.make_actor(account_id_fixture, by_admin=True)
    )


def test_ip_limit_is_twenty_requests_an_hour(account_id_fixture: int) -> None:
    accounts = [
        inbound_helpers.create_sharing_accounts(scenario.phone_number(index), NOW, f"N-{index}")[0]
        for index in range(1, 22)
    ]
    for index, account_id in enumerate(accounts[:20], 1):
        inbound_helpers.invite(account_id, scenario.phone_number(index), NOW + index)
    assert (
        limit_ends_at(lambda: inbound_helpers.invite(accounts[20], scenario.phone_number(21), NOW + 100))
        == NOW + 1 + 60 * MINUTE_MS
    )
    inbound_helpers.invite(
        accounts[20], scenario.phone_number(21), NOW + 100, inbound_helpers.make_actor(accounts[20], ip="203.0.113.5")
    )
    inbound_helpers.invite(
        account_id_fixture, NUMBER, NOW + 100, inbound_helpers.make_actor(account_id_fixture, by_admin=True)
    )


def test_daily_budget_covers_all_accounts(app: Flask, account_id_fixture: int) -> None:
    override_settings(app, invitations_per_day=2)
    (other,) = inbound_helpers.create_sharing_accounts(scenario.phone_number(1), NOW, "B")
    (third,) = inbound_helpers.create_sharing_accounts(scenario.phone_number(2), NOW, "C")
    inbound_helpers.invite(account_id_fixture, NUMBER, NOW)
    inbound_helpers.invite(
        other, scenario.phone_number(1), NOW + 5_000, inbound_helpers.make_actor(other, by_admin=True)
    )
    admin = inbound_helpers.make_actor(third, by_admin=True)
    assert (
        limit_ends_at(lambda: inbound_helpers.invite(third, scenario.phone_number(2), NOW + 6_000, admin))
        == NOW + DAY_MS
    )
    inbound_helpers.invite(third, scenario.phone_number(2), NOW + DAY_MS)


def test_premium_and_foreign_numbers_are_not_invited(app: Flask, account_id_fixture: int) -> None:
    override_settings(app, sms_countries=("US", "AU"))
    refused = {
        "+19005550123": "premium-rate",
        "+611300123456": "shared-cost",
        "+18765550123": "only text numbers in the United States and Australia",
        "+33612345678": "only text numbers in the United States and Australia",
    }
    with transaction() as session:
        session.add_all(
            PhoneNumber(account_id=account_id_fixture, number=number, created_at_ms=NOW) for number in refused
        )
    for number, message in refused.items():
        with pytest.raises(ActionRefused, match=message):
            inbound_helpers.invite(account_id_fixture, number, NOW)
    assert ledger_rows() == []


def refusal_message(account_id: int, at_ms: int = NOW + 60 * MINUTE_MS) -> str:
    with pytest.raises(ActionRefused) as refused:
        inbound_helpers.invite(account_id, NUMBER, at_ms)
    assert not isinstance(refused.value, RateLimited)
    return str(refused.value)


def test_stopped_number_message_says_to_text_start(account_id_fixture: int) -> None:
    inbound_helpers.receive_text("STOP", NUMBER, NOW)
    assert refusal_message(account_id_fixture).endswith("text START from that phone to (202) 555-0100.")


def test_unreachable_or_enabled_number_is_not_invited(account_id_fixture: int) -> None:
    inbound_helpers.receive_text("START", NUMBER, NOW)
    assert "already" in refusal_message(account_id_fixture)
    inbound_helpers.receive_error_receipt(account_id_fixture, NUMBER, "30005", NOW + 1_000)
    assert "Confirm it first" in refusal_message(account_id_fixture)
    account_phones.confirm_number(
        inbound_helpers.phone_id(account_id_fixture, NUMBER),
        account_id_fixture,
        inbound_helpers.make_actor(account_id_fixture),
        NOW + 2_000,
    )
    assert "already" in refusal_message(account_id_fixture)


def test_no_requests_while_texts_are_off_or_unconfigured(account_id_fixture: int) -> None:
    setting_changes.set_setting("EnableSmsNotifications", "false", None, NOW)
    assert refusal_message(account_id_fixture) == "Texts are switched off."


def test_recorded_wording_is_the_one_displayed(account_id_fixture: int) -> None:
    phone_id = inbound_helpers.phone_id(account_id_fixture, NUMBER)
    outdated = invitations.opt_in_prompt(NUMBER).fingerprint
    content_blocks.save_block(
        content_block_checks.OPT_IN_PROMPT, "New words about {{ organisation }}. STOP ends them.", None, NOW
    )
    with pytest.raises(WordingChanged):
        invitations.invite(phone_id, inbound_helpers.make_actor(account_id_fixture), outdated, NOW)
    assert ledger_rows() == []
    assert db.session.scalars(select(Communication)).all() == []
    inbound_helpers.invite(account_id_fixture, NUMBER, NOW)
    assert (ledger_rows()[0].text, ledger_rows()[0].content_block_version) == (
        "New words about Notification portal. STOP ends them.",
        1,
    )


def test_removed_number_is_not_invited(account_id_fixture: int) -> None:
    phone_id = inbound_helpers.phone_id(account_id_fixture, NUMBER)
    account_phones.remove_number(phone_id, account_id_fixture, inbound_helpers.make_actor(account_id_fixture), NOW)
    with pytest.raises(ActionRefused, match="no longer"):
        invitations.invite(phone_id, inbound_helpers.make_actor(account_id_fixture), "", NOW)


def test_stop_after_the_request_holds_the_invitation_back(
    account_id_fixture: int, simulator: servers.SimulatorClient
) -> None:
    inbound_helpers.invite(account_id_fixture, NUMBER, NOW)
    inbound_helpers.receive_text("STOP", NUMBER, NOW + 10)
    scenario.run_sms_worker()
    assert simulator.accepted_texts() == []
    assert inbound_helpers.texts_of_kind("invitation") == [(NUMBER, "skipped", "stopped")]

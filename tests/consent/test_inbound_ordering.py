"""Texts from handsets that come out of order, more than once, late, or by no webhook at all."""

import json
import random
import threading

import pytest
from flask import Flask
from sqlalchemy import delete, select

from portal.consent import manual_consent, recording
from portal.consent.rules.consent_state import ConsentState, LedgerEvent, derive_state
from portal.consent.tables.ledger import ConsentEvent
from portal.core.actor import SHELL_ACTOR
from portal.core.extensions import db
from portal.gateways.provider import ProviderUnavailable
from portal.settings.tables.setting_values import AppSetting
from tests.support import inbound_helpers, scenario, servers

pytestmark = pytest.mark.usefixtures("app")

NOW = scenario.now_ms()
MINUTE_MS = inbound_helpers.MINUTE_MS
BODIES = [
    "START",
    "STOP",
    "HELP",
    "who is this?",
    "unstop",
    "please stop texting me",
    "YES",
    "opt out",
    "info",
    "START",
]


@pytest.fixture(autouse=True)
def live_gateway(app: object) -> None:
    global NOW  # not the moment of import: in a long run that is many minutes ago
    NOW = scenario.now_ms()
    scenario.configure_gateway()


def configure_number_type(number_type: str) -> None:
    sender = {"FromNumber": servers.FROM_NUMBER, "NumberType": number_type}
    scenario.configure_gateway(SmsGatewaySettings=json.dumps(sender))


def random_texts(dice: random.Random) -> list[tuple[str, int]]:
    """Twelve texts of one handset, oldest first, often several in one second, the last one half a minute ago."""
    at_ms, found = NOW - 30_000, []
    for body in (dice.choice(BODIES) for _ in range(12)):
        found.append((body, at_ms))
        at_ms -= dice.choice([0, 1, 300, 700, 2_500])
    return found[::-1]


@pytest.mark.one_engine
@pytest.mark.parametrize(
    ("seed", "number_type"), [(0, "long_code"), (1, "long_code"), (2, "toll_free"), (3, "toll_free")]
)
def test_shuffled_repeated_webhooks_end_in_sent_order(
    simulator: servers.SimulatorClient, seed: int, number_type: str
) -> None:
    configure_number_type(number_type)
    dice = random.Random(seed)
    texts, orderly, chaotic = random_texts(dice), scenario.phone_number(2 * seed), scenario.phone_number(2 * seed + 1)
    for number, names in ((orderly, ("A", "B")), (chaotic, ("C", "D"))):
        first, second = inbound_helpers.create_sharing_accounts(number, NOW - 90 * MINUTE_MS, *names)
        inbound_helpers.invite(first, number, NOW - 60 * MINUTE_MS)
        inbound_helpers.invite(second, number, NOW - 40 * MINUTE_MS)
    for index, ((body, _at), sid) in enumerate(
        zip(texts, inbound_helpers.seed_provider_messages(simulator, texts, orderly), strict=True)
    ):
        inbound_helpers.receive_text(body, orderly, NOW - 20_000 + 1_000 * index, sid)
    posts = [
        (body, sid)
        for (body, _at), sid in zip(
            texts, inbound_helpers.seed_provider_messages(simulator, texts, chaotic), strict=True
        )
    ] * 3
    dice.shuffle(posts)
    for index, (body, sid) in enumerate(posts):
        inbound_helpers.receive_text(body, chaotic, NOW - 20_000 + 300 * index, sid)
    inbound_helpers.run_inbound_checks(NOW + 1_000)
    assert inbound_helpers.ledger_texts(chaotic) == inbound_helpers.ledger_texts(orderly)
    assert [words for words, _times in inbound_helpers.ledger_texts(chaotic)] == [
        body for body, _at in texts if body != "who is this?"
    ]
    assert {times for _words, times in inbound_helpers.ledger_texts(chaotic)} == {1}
    holder, *states = inbound_helpers.stored_consent_state(orderly)
    assert inbound_helpers.stored_consent_state(chaotic) == ({"A": "C", "B": "D", None: None}[holder], *states)
    assert [reply.needs_review for reply in inbound_helpers.ordered_inbound_messages(chaotic)] == [
        reply.needs_review for reply in inbound_helpers.ordered_inbound_messages(orderly)
    ]


def test_concurrent_workers_store_each_text_once(app: Flask, simulator: servers.SimulatorClient) -> None:
    dice, phone_number = random.Random(7), scenario.phone_number(0)
    inbound_helpers.create_sharing_accounts(phone_number, NOW - 90 * MINUTE_MS, "A")
    texts = [(body, at_ms) for body, at_ms in random_texts(dice) if body != "who is this?"]
    texts.append(("START", NOW - 25_000))
    posts = [
        (body, sid)
        for (body, _at), sid in zip(
            texts, inbound_helpers.seed_provider_messages(simulator, texts, phone_number), strict=True
        )
    ]
    start, faults = threading.Barrier(4), []

    def work(own: list[tuple[str, str]]) -> None:
        with app.app_context():
            start.wait()
            for body, sid in own:
                try:
                    inbound_helpers.receive_text(body, phone_number, NOW - 20_000, sid)
                except Exception as error:  # told below, in the thread that can fail the test
                    faults.append(error)

    workers = [threading.Thread(target=work, args=(dice.sample(posts, len(posts)),)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    inbound_helpers.run_inbound_checks(NOW)
    assert faults == []
    assert inbound_helpers.ledger_texts(phone_number) == [(body, 1) for body, _at in texts]
    assert inbound_helpers.stored_consent_state(phone_number) == ("A", False, False)


def receive_and_resolve(simulator: servers.SimulatorClient, sent: list[str], arrived: list[str]) -> str:
    """A number of A's alone, from which each of the words came once, put in order by now."""
    phone_number = scenario.phone_number(0)
    inbound_helpers.create_sharing_accounts(phone_number, NOW - MINUTE_MS, "A")
    times = [NOW - 9_000 + 5_000 * index for index in range(len(sent))]
    sids = dict(
        zip(
            sent,
            inbound_helpers.seed_provider_messages(simulator, list(zip(sent, times, strict=True)), phone_number),
            strict=True,
        )
    )
    for index, word in enumerate(arrived):
        inbound_helpers.receive_text(word, phone_number, NOW - 2_000 + 1_000 * index, sids[word])
    inbound_helpers.run_inbound_checks(NOW)
    return phone_number


def replies_to_review(number: str) -> list[str]:
    """The texts that wait for an administrator."""
    return [reply.body for reply in inbound_helpers.ordered_inbound_messages(number) if reply.needs_review]


def test_yes_overtaking_stop_does_not_reopen_toll_free(simulator: servers.SimulatorClient) -> None:
    """Until the next text, which Twilio refuses with 21610."""
    configure_number_type("toll_free")
    phone_number = scenario.phone_number(0)
    inbound_helpers.create_sharing_accounts(phone_number, NOW - MINUTE_MS, "A")
    stop, yes = inbound_helpers.seed_provider_messages(
        simulator, [("STOP", NOW - 9_000), ("YES", NOW - 4_000)], phone_number
    )
    inbound_helpers.receive_text("YES", phone_number, NOW - 2_000, yes)
    inbound_helpers.receive_text("STOP", phone_number, NOW - 1_000, stop)
    inbound_helpers.run_inbound_checks(NOW)
    assert inbound_helpers.stored_consent_state(phone_number)[1]


@pytest.mark.one_engine
@pytest.mark.parametrize("arrived", [["STOP", "YES"], ["YES", "STOP"]])
@pytest.mark.parametrize(("sent", "holder", "asks"), [(["STOP", "YES"], None, ["YES"]), (["YES", "STOP"], "A", [])])
def test_toll_free_yes_depends_only_on_sent_order(
    simulator: servers.SimulatorClient, arrived: list[str], sent: list[str], holder: str | None, asks: list[str]
) -> None:
    configure_number_type("toll_free")
    number = receive_and_resolve(simulator, sent, arrived)
    assert (inbound_helpers.stored_consent_state(number), replies_to_review(number)) == ((holder, True, False), asks)


@pytest.mark.parametrize("arrived", [["STOP", "YES"], ["YES", "STOP"]])
def test_long_code_yes_reopens_in_either_arrival_order(simulator: servers.SimulatorClient, arrived: list[str]) -> None:
    configure_number_type("long_code")
    number = receive_and_resolve(simulator, ["STOP", "YES"], arrived)
    assert (inbound_helpers.stored_consent_state(number), replies_to_review(number)) == (("A", False, False), [])


@pytest.mark.parametrize("number_type", ["toll_free", "long_code"])
def test_yes_without_a_stop_enables_texts(simulator: servers.SimulatorClient, number_type: str) -> None:
    configure_number_type(number_type)
    number = receive_and_resolve(simulator, ["YES"], ["YES"])
    assert (inbound_helpers.stored_consent_state(number), replies_to_review(number)) == (("A", False, False), [])
    assert [address for address, _state, _why in inbound_helpers.texts_of_kind("welcome")] == [number]


def test_start_after_an_ineffective_yes_clears_the_review(
    simulator: servers.SimulatorClient,
) -> None:
    configure_number_type("toll_free")
    number = receive_and_resolve(simulator, ["STOP", "YES", "START"], ["YES", "START", "STOP"])
    assert (inbound_helpers.stored_consent_state(number), replies_to_review(number)) == (("A", False, False), [])


def test_yes_after_a_manual_stop_needs_review(simulator: servers.SimulatorClient) -> None:
    """It was said before the YES and is written down long after it."""
    configure_number_type("toll_free")
    phone_number = scenario.phone_number(0)
    inbound_helpers.create_sharing_accounts(phone_number, NOW - 60 * MINUTE_MS, "A")
    inbound_helpers.receive_text("I have had enough of you", phone_number, NOW - 40 * MINUTE_MS)
    inbound_helpers.receive_text("YES", phone_number, NOW - 20 * MINUTE_MS)
    assert (inbound_helpers.stored_consent_state(phone_number), replies_to_review(phone_number)) == (
        ("A", False, False),
        ["I have had enough of you"],
    )
    manual_consent.decide_reply(inbound_helpers.ordered_inbound_messages(phone_number)[0].id, "stop", SHELL_ACTOR, NOW)
    assert inbound_helpers.stored_consent_state(phone_number) == (None, True, False)
    assert replies_to_review(phone_number) == ["I have had enough of you", "YES"]


def test_confirmed_start_records_the_account_it_enabled(simulator: servers.SimulatorClient) -> None:
    phone_number = scenario.phone_number(0)
    (account_id,) = inbound_helpers.create_sharing_accounts(phone_number, NOW - MINUTE_MS, "A")
    stop, start = inbound_helpers.seed_provider_messages(
        simulator, [("STOP", NOW - 9_000), ("START", NOW - 4_000)], phone_number
    )
    inbound_helpers.receive_text("STOP", phone_number, NOW - 2_000, stop)
    inbound_helpers.receive_text("START", phone_number, NOW - 1_000, start)
    inbound_helpers.run_inbound_checks(NOW)
    assert inbound_helpers.stored_consent_state(phone_number) == ("A", False, False)
    query = select(ConsentEvent.account_id).where(ConsentEvent.kind == "start")
    assert db.session.scalars(query).one() == account_id


def test_start_that_overtook_a_stop_in_the_same_second_counts(simulator: servers.SimulatorClient) -> None:
    phone_number = scenario.phone_number(0)
    inbound_helpers.create_sharing_accounts(phone_number, NOW - MINUTE_MS, "A")
    stop, start = inbound_helpers.seed_provider_messages(
        simulator, [("STOP", NOW - 900), ("START", NOW - 400)], phone_number
    )
    inbound_helpers.receive_text("START", phone_number, NOW - 300, start)
    inbound_helpers.receive_text("STOP", phone_number, NOW - 200, stop)
    assert inbound_helpers.stored_consent_state(phone_number) == ("A", True, False), (
        "a STOP counts at once, whatever its place"
    )
    inbound_helpers.run_inbound_checks(NOW)
    assert inbound_helpers.stored_consent_state(phone_number) == ("A", False, False)


def test_start_near_a_stop_waits_for_the_order_from_twilio(simulator: servers.SimulatorClient) -> None:
    phone_number = scenario.phone_number(0)
    inbound_helpers.create_sharing_accounts(phone_number, NOW - MINUTE_MS, "A")
    start, stop = inbound_helpers.seed_provider_messages(
        simulator, [("START", NOW - 9_000), ("STOP", NOW - 4_000)], phone_number
    )
    inbound_helpers.receive_text("STOP", phone_number, NOW - 3_000, stop)
    inbound_helpers.receive_text("START", phone_number, NOW - 1_000, start)
    assert inbound_helpers.stored_consent_state(phone_number)[1]
    inbound_helpers.run_inbound_checks(NOW)
    assert inbound_helpers.stored_consent_state(phone_number) == ("A", True, False), (
        "the START was sent before the STOP"
    )
    assert inbound_helpers.texts_of_kind("welcome") == []


def test_start_near_a_stop_counts_once_twilio_answers_again(simulator: servers.SimulatorClient) -> None:
    phone_number = scenario.phone_number(0)
    inbound_helpers.create_sharing_accounts(phone_number, NOW - MINUTE_MS, "A")
    inbound_helpers.receive_text("STOP", phone_number, NOW - 2_000)
    inbound_helpers.receive_text("START", phone_number, NOW - 1_000)
    simulator.set_faults(rules=[{"kind": "500_before", "call": "list"}])
    for at_ms in (NOW, NOW + 4_000):
        with pytest.raises(ProviderUnavailable):
            inbound_helpers.run_inbound_checks(at_ms)
        assert inbound_helpers.stored_consent_state(phone_number)[1]
    with pytest.raises(ProviderUnavailable):
        inbound_helpers.run_inbound_checks(NOW + 60_000)
    assert inbound_helpers.stored_consent_state(phone_number) == ("A", False, False), "nothing better is to be learned"


def test_stop_during_order_resolution_is_not_overwritten(
    app: Flask, simulator: servers.SimulatorClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone_number, begun, received = scenario.phone_number(0), threading.Event(), threading.Event()
    inbound_helpers.create_sharing_accounts(phone_number, NOW - MINUTE_MS, "A")
    stop, start = inbound_helpers.seed_provider_messages(
        simulator, [("STOP", NOW - 9_000), ("START", NOW - 4_000)], phone_number
    )
    inbound_helpers.receive_text("STOP", phone_number, NOW - 3_000, stop)
    inbound_helpers.receive_text("START", phone_number, NOW - 2_000, start)
    resolving = threading.current_thread()

    def derive_slowly(events: list[LedgerEvent]) -> ConsentState:
        """Let the other thread write between reading the events and storing the state."""
        state = derive_state(events)
        if threading.current_thread() is resolving and not begun.is_set():
            begun.set()
            received.wait(1)
        return state

    def receive() -> None:
        with app.app_context():
            begun.wait(30)
            inbound_helpers.receive_text("STOP", phone_number, NOW)
            received.set()

    monkeypatch.setattr(recording, "derive_state", derive_slowly)
    worker = threading.Thread(target=receive)
    worker.start()
    inbound_helpers.run_inbound_checks(NOW + 1_000)
    worker.join()
    assert inbound_helpers.ledger_kinds(phone_number) == ["stop", "start", "stop"]
    assert inbound_helpers.stored_consent_state(phone_number) == ("A", True, False)


def test_start_does_not_wait_forever_for_a_lagging_list(simulator: servers.SimulatorClient) -> None:
    phone_number = scenario.phone_number(0)
    inbound_helpers.create_sharing_accounts(phone_number, NOW - MINUTE_MS, "A")
    stop, start = inbound_helpers.seed_provider_messages(
        simulator, [("STOP", NOW - 9_000), ("START", NOW - 4_000)], phone_number
    )
    inbound_helpers.receive_text("STOP", phone_number, NOW - 2_000, stop)
    inbound_helpers.receive_text("START", phone_number, NOW - 1_000, start)
    simulator.set_faults(list_stale_ms=3_600_000)
    inbound_helpers.run_inbound_checks(NOW)
    assert inbound_helpers.stored_consent_state(phone_number)[1]
    inbound_helpers.run_inbound_checks(NOW + 6_000)
    assert inbound_helpers.stored_consent_state(phone_number) == ("A", False, False)


def test_late_list_entry_corrects_the_order(simulator: servers.SimulatorClient) -> None:
    phone_number = scenario.phone_number(0)
    inbound_helpers.create_sharing_accounts(phone_number, NOW - MINUTE_MS, "A")
    start, stop = inbound_helpers.seed_provider_messages(
        simulator, [("START", NOW - 9_000), ("STOP", NOW - 4_000)], phone_number
    )
    inbound_helpers.receive_text("STOP", phone_number, NOW - 2_000, stop)
    inbound_helpers.receive_text("START", phone_number, NOW - 1_000, start)
    simulator.set_faults(list_stale_ms=3_600_000)
    inbound_helpers.run_inbound_checks(NOW + 6_000)
    assert not inbound_helpers.stored_consent_state(phone_number)[1]
    simulator.set_faults()
    inbound_helpers.run_inbound_checks(NOW + 2 * MINUTE_MS)
    assert inbound_helpers.stored_consent_state(phone_number) == ("A", True, False)


def test_without_credentials_arrival_order_is_accepted(simulator: servers.SimulatorClient) -> None:
    phone_number = scenario.phone_number(0)
    inbound_helpers.create_sharing_accounts(phone_number, NOW - MINUTE_MS, "A")
    inbound_helpers.receive_text("STOP", phone_number, NOW - 2_000)
    inbound_helpers.receive_text("START", phone_number, NOW - 1_000)
    db.session.execute(delete(AppSetting).where(AppSetting.name == "SmsGatewayAuthentication"))
    db.session.commit()
    inbound_helpers.run_inbound_checks(NOW)
    assert inbound_helpers.stored_consent_state(phone_number) == ("A", False, False)
    assert simulator.get("/simulator/log")["log"] == []


def test_delayed_webhook_does_not_override_a_manual_stop(simulator: servers.SimulatorClient) -> None:
    phone_number = scenario.phone_number(0)
    inbound_helpers.create_sharing_accounts(phone_number, NOW - 60 * MINUTE_MS, "A")
    (start,) = inbound_helpers.seed_provider_messages(simulator, [("START", NOW - 3 * MINUTE_MS)], phone_number)
    manual_consent.opt_out(phone_number, "phone", "rang us", SHELL_ACTOR, NOW - MINUTE_MS)
    inbound_helpers.receive_text("START", phone_number, NOW, start)
    assert inbound_helpers.stored_consent_state(phone_number)[1]
    inbound_helpers.run_inbound_checks(NOW + 1_000)
    assert inbound_helpers.stored_consent_state(phone_number) == ("A", True, False)

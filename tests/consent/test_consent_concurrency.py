"""Concurrency: two workers receive START, and a STOP arrives while hundreds of texts leave."""

import contextlib
import dataclasses
import random
import threading
import time
from collections import Counter
from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import func, select

from portal.accounts.tables.accounts import Account
from portal.accounts.tables.phone_numbers import PhoneNumber
from portal.consent import account_phones, inbound_sync, manual_consent, recording
from portal.consent.rules.hash_chain import find_break
from portal.consent.tables import ledger
from portal.consent.tables.ledger import ConsentEvent
from portal.core.actor import SHELL_ACTOR
from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.delivery import reconciliation
from portal.messages.tables.communications import Communication, Delivery
from tests.support import consent_decision_table as cases
from tests.support import inbound_helpers, scenario, servers

NOW = scenario.now_ms()
ROUNDS_PER_DATABASE = 30
"""On each of the two databases, so 60 in all."""


def run_in_threads(app: Flask, *jobs: Callable[[], None]) -> list[Exception]:
    """Run each job in a thread with its own connection, and return the errors."""
    faults: list[Exception] = []

    def work(job: Callable[[], None]) -> None:
        with app.app_context():
            try:
                job()
            except Exception as error:  # reported in the main thread, which can fail the test
                faults.append(error)
            finally:
                db.session.remove()

    threads = [threading.Thread(target=work, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return faults


def test_concurrent_starts_leave_one_recipient(app: Flask) -> None:
    """Half of the rounds answer one invitation, the others the newer of two."""
    scenario.configure_gateway()
    states = [cases.SCENARIOS["B holds, A invited"], cases.SCENARIOS["both, both invited"]]
    inbound_helpers.create_account_pairs(ROUNDS_PER_DATABASE)
    inbound_helpers.write_ledger(
        [cases.NumberHistory(states[index % 2], NOW - 20 * 86_400_000) for index in range(ROUNDS_PER_DATABASE)]
    )
    begin = threading.Barrier(2)

    def hear() -> None:
        for index in range(ROUNDS_PER_DATABASE):
            begin.wait(30)
            inbound_helpers.receive_text("START", scenario.phone_number(index), NOW)

    assert run_in_threads(app, hear, hear) == []
    holders = select(PhoneNumber.number, PhoneNumber.account_id).where(PhoneNumber.receives_sms == True)  # noqa: E712
    expected = {
        scenario.phone_number(index): inbound_helpers.table_account_id(index, 1 + index % 2)
        for index in range(ROUNDS_PER_DATABASE)
    }
    assert sorted(tuple(row) for row in db.session.execute(holders)) == sorted(expected.items())
    assert count_events_by_number("start", "handset") == dict.fromkeys(expected, 2)
    welcomes = select(Delivery.address, func.count()).join(Communication).where(Communication.kind == "welcome")
    assert {row[0]: row[1] for row in db.session.execute(welcomes.group_by(Delivery.address))} == dict.fromkeys(
        expected, 1
    )
    assert len(inbound_helpers.notified_accounts("displaced")) == ROUNDS_PER_DATABASE / 2, (
        "the earlier holders, once each"
    )


def count_events_by_number(kind: str, source: str) -> dict[str, int]:
    query = select(ConsentEvent.number, func.count()).where(ConsentEvent.kind == kind, ConsentEvent.source == source)
    return {row[0]: row[1] for row in db.session.execute(query.group_by(ConsentEvent.number))}


def test_concurrent_changes_match_the_derived_state(app: Flask, simulator: servers.SimulatorClient) -> None:
    rules = [{"kind": "reject", "code": 21610, "probability": 0.2}, {"kind": "500_after", "probability": 0.1}]
    simulator.set_faults(receipts={"final": "none"}, rules=rules)
    scenario.configure_gateway()
    numbers = [scenario.phone_number(index) for index in range(6)]
    inbound_helpers.create_account_pairs(len(numbers))
    begun = cases.NumberHistory(cases.SCENARIOS["B holds, A invited"], NOW - 20 * 86_400_000)
    inbound_helpers.write_ledger([begun] * len(numbers))
    scenario.add_template()
    for _ in range(4):
        scenario.create_expanded_send()

    def often(times: int, step: Callable[[random.Random, str, int], None]) -> Callable[[], None]:
        """A worker that does it to one number and one of its accounts after the other, by its own dice."""

        def work() -> None:
            rng = random.Random(f"{step.__name__}")
            for _ in range(times):
                index = rng.randrange(len(numbers))
                with contextlib.suppress(ActionRefused):
                    step(rng, numbers[index], inbound_helpers.table_account_id(index, rng.choice([1, 2])))
                db.session.remove()

        return work

    jobs = [
        often(20, _receive_random_text),
        often(20, _receive_random_text_again),
        often(15, _receive_random_receipt),
        often(15, _manual_change),
        often(4, _run_maintenance),
    ]
    assert run_in_threads(app, *jobs, lambda: scenario.run_sms_worker(seconds=2)) == []
    for number in numbers:
        now = recording.consent_state_of(number)
        holder = db.session.scalars(select(Account.external_id).where(Account.id == now.recipient_id)).one_or_none()
        assert inbound_helpers.stored_consent_state(number) == (
            holder,
            now.stopped_at_ms is not None,
            now.unreachable_at_ms is not None,
        )
    assert find_break(ledger.all_events(), ledger.chain_head()[1]) is None


def _receive_random_text(rng: random.Random, number: str, _account_id: int) -> None:
    inbound_helpers.receive_text(
        rng.choice(["START", "STOP", "HELP", "stop please", "who is this?"]), number, scenario.now_ms()
    )


def _receive_random_text_again(rng: random.Random, number: str, account_id: int) -> None:
    _receive_random_text(rng, number, account_id)


def _receive_random_receipt(rng: random.Random, number: str, account_id: int) -> None:
    inbound_helpers.receive_error_receipt(account_id, number, rng.choice(["", "21610", "30005"]), scenario.now_ms())


def _manual_change(rng: random.Random, number: str, account_id: int) -> None:
    choice = rng.randrange(3)
    if choice == 0:
        manual_consent.opt_out(number, "phone", "rang us", SHELL_ACTOR, scenario.now_ms())
    elif choice == 1:
        manual_consent.move_texts(number, account_id, SHELL_ACTOR, scenario.now_ms())
    else:
        account_phones.confirm_number(
            inbound_helpers.phone_id(account_id, number),
            account_id,
            inbound_helpers.make_actor(account_id),
            scenario.now_ms(),
        )


def _run_maintenance(_dice: random.Random, _number: str, _account_id: int) -> None:
    inbound_sync.resolve_uncertain_order(scenario.now_ms)
    reconciliation.reconcile_unknown_texts(scenario.now_ms)


@pytest.mark.one_engine
@pytest.mark.parametrize(
    ("latency_ms", "rate", "send_count"), [(5, 150, 40), (1_500, 500, 25)], ids=["prompt provider", "slow provider"]
)
def test_no_text_leaves_a_second_after_the_webhook_answered_stop(
    app: Flask, simulator: servers.SimulatorClient, latency_ms: int, rate: int, send_count: int
) -> None:
    """Also with a slow provider, where texts wait for one of the requests in flight to end."""
    timeouts = {"sms_timeout_seconds": 20.0, "sms_lease_seconds": 60.0, "sms_unknown_seconds": 90.0}
    app.config["PORTAL"] = dataclasses.replace(app.config["PORTAL"], **timeouts)
    simulator.set_faults(receipts={"final": "none"}, latency_ms=latency_ms)
    scenario.configure_gateway(rate=rate)
    _create_sends_sharing_number(send_count)
    answered_at_ms: list[float] = []

    def stop() -> None:
        servers.wait_for(lambda: len(times_texted(simulator, scenario.phone_number(0))) > 5, "the first texts to leave")
        inbound_helpers.receive_text("STOP", scenario.phone_number(0), scenario.now_ms())
        answered_at_ms.append(time.time() * 1000)

    assert run_in_threads(app, lambda: scenario.run_sms_worker(seconds=30), stop) == []
    sent_at_ms = times_texted(simulator, scenario.phone_number(0))
    assert max(sent_at_ms) <= answered_at_ms[0] + 1_000
    assert len(sent_at_ms) < send_count
    states = Counter((row.address == scenario.phone_number(0), row.state) for row in scenario.deliveries("sms"))
    assert (states[True, "accepted"], states[True, "skipped"]) == (len(sent_at_ms), send_count - len(sent_at_ms))
    assert states[False, "accepted"] == sum(states.values()) - send_count, "nobody else's texts are held up"


def _create_sends_sharing_number(send_count: int) -> None:
    """In each of them it comes last, and so its texts are spread evenly among those to others."""
    scenario.create_more_accounts(send_count // 3)
    scenario.create_accounts(1, with_sms=1)
    scenario.add_template()
    for index in range(send_count):
        others = [f"Q-{other}" for other in range(index // 3)]
        scenario.create_expanded_send(audience={"external_ids": [*others, "P-0"]})


def times_texted(simulator: servers.SimulatorClient, number: str) -> list[int]:
    """When texts to the number came to the provider, in milliseconds."""
    log = simulator.get("/simulator/log")["log"]
    return [call["at_ms"] for call in log if call["kind"] == "create" and call["to"] == number]

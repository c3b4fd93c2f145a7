"""Faults, and what the request log says was accepted."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from twilio.rest import Client

from tests.simulator.simulator_server import FROM, LIVE_SID, LIVE_TOKEN, TO, Simulator, wait_for


def _counts(simulator: Simulator) -> tuple[int, int]:
    """The number of accepted texts, and of log entries that say so."""
    return len(simulator.accepted()), sum(entry["accepted"] for entry in simulator.log())


def test_a_429_rule_applies_count_times(simulator_fresh: Simulator) -> None:
    simulator_fresh.faults(rules=[{"kind": "429", "retry_after": 2, "count": 2}])
    responses = [simulator_fresh.send() for _ in range(3)]
    assert [response.status_code for response in responses] == [429, 429, 201]
    assert responses[0].json()["code"] == 20429
    assert responses[0].headers["Retry-After"] == "2"
    assert _counts(simulator_fresh) == (1, 1)
    assert simulator_fresh.get("/simulator/faults")["rules"][0]["left"] == 0


@pytest.mark.parametrize(
    ("kind", "status", "accepted"),
    [("500_before", 500, 0), ("500_after", 500, 1), ("401", 401, 0), ("html_200", 200, 0), ("half_json", 201, 1)],
)
def test_a_fault_spoils_the_response(simulator_fresh: Simulator, kind: str, status: int, accepted: int) -> None:
    simulator_fresh.faults(rules=[{"kind": kind, "count": 1}])
    response = simulator_fresh.send()
    assert response.status_code == status
    assert _counts(simulator_fresh) == (accepted, accepted)
    assert simulator_fresh.log()[-1]["outcome"] == f"fault:{kind}"
    if status < 300:
        with pytest.raises(ValueError, match=r".*"):
            response.json()


@pytest.mark.parametrize(("kind", "accepted"), [("timeout_before", 0), ("timeout_after", 1)])
def test_a_timeout_fault_holds_the_request_open(simulator_fresh: Simulator, kind: str, accepted: int) -> None:
    simulator_fresh.faults(rules=[{"kind": kind, "seconds": 20, "count": 1}])
    with pytest.raises(requests.ReadTimeout):
        simulator_fresh.send(timeout=0.5)
    assert _counts(simulator_fresh) == (accepted, accepted)
    assert simulator_fresh.log()[-1]["status"] is None


@pytest.mark.parametrize(("kind", "accepted"), [("reset_before", 0), ("reset_after", 1)])
def test_a_reset_fault_drops_the_connection(simulator_fresh: Simulator, kind: str, accepted: int) -> None:
    simulator_fresh.faults(rules=[{"kind": kind, "count": 1}])
    with pytest.raises(requests.ConnectionError):
        simulator_fresh.send()
    assert _counts(simulator_fresh) == (accepted, accepted)
    assert simulator_fresh.log()[-1]["status"] is None
    assert simulator_fresh.send().status_code == 201


def test_a_reject_rule_rejects_at_create(simulator_fresh: Simulator) -> None:
    simulator_fresh.faults(rules=[{"kind": "reject", "code": 21614, "to": TO}])
    assert simulator_fresh.send().json()["code"] == 21614
    assert simulator_fresh.send(to="+12025550124").status_code == 201


def test_a_rule_can_apply_to_another_call(simulator_fresh: Simulator, simulator_client: Client) -> None:
    simulator_fresh.faults(rules=[{"kind": "500_before", "call": "list"}])
    assert simulator_fresh.send().status_code == 201
    response = requests.get(simulator_fresh.messages_url, auth=(LIVE_SID, LIVE_TOKEN), timeout=10)
    assert response.status_code == 500


def test_the_same_seed_repeats_a_run(simulator_fresh: Simulator) -> None:
    def run() -> list[int]:
        simulator_fresh.faults(seed=42, rules=[{"kind": "429", "probability": 0.5}])
        return [simulator_fresh.send().status_code for _ in range(20)]

    first = run()
    assert first == run()
    assert set(first) == {201, 429}


def test_a_stale_list_omits_new_texts(simulator_fresh: Simulator, simulator_client: Client) -> None:
    simulator_fresh.faults(list_stale_ms=60_000)
    sid = simulator_client.messages.create(to=TO, from_=FROM, body="Hello").sid
    assert simulator_client.messages.list() == []
    assert simulator_client.messages(sid).fetch().sid == sid
    simulator_fresh.faults()
    assert [message.sid for message in simulator_client.messages.list()] == [sid]


def test_too_many_concurrent_requests_get_429(simulator_fresh: Simulator) -> None:
    simulator_fresh.faults(latency_ms=400, concurrency=2)
    with ThreadPoolExecutor(4) as pool:
        codes = sorted(response.status_code for response in pool.map(lambda _: simulator_fresh.send(), range(4)))
    assert codes == [201, 201, 429, 429]


def test_a_full_queue_rejects_texts_from_its_number(simulator_fresh: Simulator) -> None:
    simulator_fresh.faults(rate=0.5, queue_limit=3, receipts={"delay_ms": 0})
    codes = [simulator_fresh.send().json().get("code") for _ in range(8)]
    assert codes[-1] == 21611
    assert codes[:3] == [None] * 3
    assert simulator_fresh.send(From="+12025550101").status_code == 201
    assert "queued" in [message["status"] for message in simulator_fresh.accepted()]


def test_a_text_fails_after_its_validity_period(simulator_fresh: Simulator) -> None:
    simulator_fresh.faults(rate=0.8, receipts={"delay_ms": 0})
    for _ in range(2):
        simulator_fresh.send()
    sid = simulator_fresh.send(ValidityPeriod="1").json()["sid"]

    def failed() -> list[dict[str, object]]:
        return [message for message in simulator_fresh.accepted() if message["sid"] == sid and message["error_code"]]

    (late,) = wait_for(failed, "failure")
    assert (late["status"], late["error_code"]) == ("failed", 30036)


def test_latency_applies_to_every_response(simulator_fresh: Simulator) -> None:
    simulator_fresh.faults(latency_ms=[200, 220])
    started = time.monotonic()
    simulator_fresh.send()
    assert time.monotonic() - started >= 0.2


@pytest.mark.parametrize(
    "faults",
    [
        {"rules": [{"kind": "nonsense"}]},
        {"rules": [{"kind": "429", "probability": 2}]},
        {"rules": [{"kind": "reject"}]},
        {"latency_ms": "slow"},
        {"latency_ms": [1, 2, 3]},
        {"receipts": {"final": "lost"}},
        {"smtp": [{"kind": "reply_data"}]},
        {"smtp_extensions": ["TURN"]},
        {"smpt": {}},
        [],
    ],
)
def test_invalid_faults_are_rejected(simulator_fresh: Simulator, faults: object) -> None:
    before = simulator_fresh.get("/simulator/faults")
    response = requests.put(f"{simulator_fresh.url}/simulator/faults", json=faults, timeout=10)
    assert response.status_code == 400
    assert response.json()["error"]
    assert simulator_fresh.get("/simulator/faults") == before


def test_faults_can_be_read_and_set_again(simulator_fresh: Simulator) -> None:
    rule = {"kind": "429", "probability": 0.25, "count": 9, "to": "+1202*"}
    current = simulator_fresh.faults(rules=[rule], latency_ms=[10, 20], smtp={"kind": "421", "count": 1})
    assert simulator_fresh.faults(**current) == current
    requests.delete(f"{simulator_fresh.url}/simulator/faults", timeout=10)
    assert simulator_fresh.get("/simulator/faults")["rules"] == []


def test_the_log_can_be_read_from_an_entry(simulator_fresh: Simulator) -> None:
    for body in ("One", "Two", "Three"):
        simulator_fresh.send(body)
    entries = simulator_fresh.log()
    assert [entry["body"] for entry in entries] == ["One", "Two", "Three"]
    assert [entry["n"] for entry in entries] == [1, 2, 3]
    assert simulator_fresh.get("/simulator/log?after=2")["log"] == entries[2:]
    assert (entries[0]["account_sid"], entries[0]["status"], entries[0]["outcome"]) == (LIVE_SID, 201, "accepted")

"""What goes wrong on purpose; the log says what was accepted."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from twilio.rest import Client

from tests.simulator.simulator_server import FROM, LIVE_SID, LIVE_TOKEN, TO, SimulatorServer, wait_for


def _accepted_counts(simulator: SimulatorServer) -> tuple[int, int]:
    """Accepted texts, and lines of the log that say so."""
    return len(simulator.list_messages()), sum(line["list_messages"] for line in simulator.request_log())


def test_429_strikes_as_often_as_told(clean_simulator: SimulatorServer) -> None:
    clean_simulator.set_faults(rules=[{"kind": "429", "retry_after": 2, "count": 2}])
    answers = [clean_simulator.send() for _ in range(3)]
    assert [each.status_code for each in answers] == [429, 429, 201]
    assert answers[0].json()["code"] == 20429
    assert answers[0].headers["Retry-After"] == "2"
    assert _accepted_counts(clean_simulator) == (1, 1)
    assert clean_simulator.get("/simulator/faults")["rules"][0]["left"] == 0


@pytest.mark.parametrize(
    ("kind", "status", "accepted"),
    [("500_before", 500, 0), ("500_after", 500, 1), ("401", 401, 0), ("html_200", 200, 0), ("half_json", 201, 1)],
)
def test_a_bad_answer(clean_simulator: SimulatorServer, kind: str, status: int, accepted: int) -> None:
    clean_simulator.set_faults(rules=[{"kind": kind, "count": 1}])
    answer = clean_simulator.send()
    assert answer.status_code == status
    assert _accepted_counts(clean_simulator) == (accepted, accepted)
    assert clean_simulator.request_log()[-1]["outcome"] == f"fault:{kind}"
    if status < 300:
        with pytest.raises(ValueError, match=r".*"):
            answer.json()


@pytest.mark.parametrize(("kind", "accepted"), [("timeout_before", 0), ("timeout_after", 1)])
def test_a_request_that_hangs(clean_simulator: SimulatorServer, kind: str, accepted: int) -> None:
    clean_simulator.set_faults(rules=[{"kind": kind, "seconds": 20, "count": 1}])
    with pytest.raises(requests.ReadTimeout):
        clean_simulator.send(timeout=0.5)
    assert _accepted_counts(clean_simulator) == (accepted, accepted)
    assert clean_simulator.request_log()[-1]["status"] is None


@pytest.mark.parametrize(("kind", "accepted"), [("reset_before", 0), ("reset_after", 1)])
def test_a_connection_that_is_cut(clean_simulator: SimulatorServer, kind: str, accepted: int) -> None:
    clean_simulator.set_faults(rules=[{"kind": kind, "count": 1}])
    with pytest.raises(requests.ConnectionError):
        clean_simulator.send()
    assert _accepted_counts(clean_simulator) == (accepted, accepted)
    assert clean_simulator.request_log()[-1]["status"] is None
    assert clean_simulator.send().status_code == 201


def test_a_rejection_at_create(clean_simulator: SimulatorServer) -> None:
    clean_simulator.set_faults(rules=[{"kind": "reject", "code": 21614, "to": TO}])
    assert clean_simulator.send().json()["code"] == 21614
    assert clean_simulator.send(to="+12025550124").status_code == 201


def test_a_rule_may_concern_other_calls(clean_simulator: SimulatorServer, twilio_client: Client) -> None:
    clean_simulator.set_faults(rules=[{"kind": "500_before", "call": "list"}])
    assert clean_simulator.send().status_code == 201
    answer = requests.get(clean_simulator.messages_url, auth=(LIVE_SID, LIVE_TOKEN), timeout=10)
    assert answer.status_code == 500


def test_the_same_seed_gives_the_same_run(clean_simulator: SimulatorServer) -> None:
    def run() -> list[int]:
        clean_simulator.set_faults(seed=42, rules=[{"kind": "429", "probability": 0.5}])
        return [clean_simulator.send().status_code for _ in range(20)]

    first = run()
    assert first == run()
    assert set(first) == {201, 429}


def test_a_list_that_lags(clean_simulator: SimulatorServer, twilio_client: Client) -> None:
    clean_simulator.set_faults(list_stale_ms=60_000)
    sid = twilio_client.messages.create(to=TO, from_=FROM, body="Hello").sid
    assert twilio_client.messages.list() == []
    assert twilio_client.messages(sid).fetch().sid == sid
    clean_simulator.set_faults()
    assert [each.sid for each in twilio_client.messages.list()] == [sid]


def test_too_many_requests_at_once(clean_simulator: SimulatorServer) -> None:
    clean_simulator.set_faults(latency_ms=400, concurrency=2)
    with ThreadPoolExecutor(4) as pool:
        codes = sorted(each.status_code for each in pool.map(lambda _: clean_simulator.send(), range(4)))
    assert codes == [201, 201, 429, 429]


def test_a_sender_is_slow_and_its_queue_fills(clean_simulator: SimulatorServer) -> None:
    clean_simulator.set_faults(rate=0.5, queue_limit=3, receipts={"delay_ms": 0})
    codes = [clean_simulator.send().json().get("code") for _ in range(8)]
    assert codes[-1] == 21611
    assert codes[:3] == [None] * 3
    assert clean_simulator.send(From="+12025550101").status_code == 201
    assert "queued" in [each["status"] for each in clean_simulator.list_messages()]


def test_a_text_that_waited_too_long_fails(clean_simulator: SimulatorServer) -> None:
    clean_simulator.set_faults(rate=0.8, receipts={"delay_ms": 0})
    for _ in range(2):
        clean_simulator.send()
    sid = clean_simulator.send(ValidityPeriod="1").json()["sid"]

    def failed() -> list[dict[str, object]]:
        return [each for each in clean_simulator.list_messages() if each["sid"] == sid and each["error_code"]]

    (late,) = wait_for(failed, "failure")
    assert (late["status"], late["error_code"]) == ("failed", 30036)


def test_latency_is_kept(clean_simulator: SimulatorServer) -> None:
    clean_simulator.set_faults(latency_ms=[200, 220])
    started = time.monotonic()
    clean_simulator.send()
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
def test_a_fault_that_makes_no_sense_is_refused(clean_simulator: SimulatorServer, faults: object) -> None:
    before = clean_simulator.get("/simulator/faults")
    answer = requests.put(f"{clean_simulator.url}/simulator/faults", json=faults, timeout=10)
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert clean_simulator.get("/simulator/faults") == before


def test_what_is_set_can_be_read_and_set_again(clean_simulator: SimulatorServer) -> None:
    rule = {"kind": "429", "probability": 0.25, "count": 9, "to": "+1202*"}
    shown = clean_simulator.set_faults(rules=[rule], latency_ms=[10, 20], smtp={"kind": "421", "count": 1})
    assert clean_simulator.set_faults(**shown) == shown
    requests.delete(f"{clean_simulator.url}/simulator/faults", timeout=10)
    assert clean_simulator.get("/simulator/faults")["rules"] == []


def test_the_log_goes_on_from_a_line(clean_simulator: SimulatorServer) -> None:
    for body in ("One", "Two", "Three"):
        clean_simulator.send(body)
    lines = clean_simulator.request_log()
    assert [line["body"] for line in lines] == ["One", "Two", "Three"]
    assert [line["n"] for line in lines] == [1, 2, 3]
    assert clean_simulator.get("/simulator/log?after=2")["log"] == lines[2:]
    assert (lines[0]["account_sid"], lines[0]["status"], lines[0]["outcome"]) == (LIVE_SID, 201, "accepted")

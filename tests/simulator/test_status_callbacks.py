"""Status callbacks, as they arrive at a real web server."""

import pytest

from tests.simulator.simulator_server import (
    FROM,
    LIVE_SID,
    TO,
    ReceivedWebhook,
    SimulatorServer,
    WebhookReceiver,
    wait_for,
)


def _send_with_callback(simulator: SimulatorServer, hook: WebhookReceiver, to: str = TO) -> str:
    return str(simulator.send(to=to, StatusCallback=hook.url("/receipt?id=7&x=a%20b")).json()["sid"])


def _wait_for_callbacks(hook: WebhookReceiver, sid: str, number: int) -> list[ReceivedWebhook]:
    wait_for(lambda: len(hook.statuses(sid)) >= number, f"{number} receipts")
    return [each for each in hook.posts if each.params["MessageSid"] == sid]


def test_sent_and_delivered_are_told_and_signed(
    clean_simulator: SimulatorServer, webhook_receiver: WebhookReceiver
) -> None:
    sid = _send_with_callback(clean_simulator, webhook_receiver)
    sent, delivered = _wait_for_callbacks(webhook_receiver, sid, 2)
    assert (sent.params["MessageStatus"], delivered.params["MessageStatus"]) == ("sent", "delivered")
    assert sent.is_signed()
    assert delivered.is_signed()
    assert sent.url.endswith("/receipt?id=7&x=a%20b")
    assert sent.params["SmsSid"] == sid
    assert sent.params["SmsStatus"] == "sent"
    assert (sent.params["AccountSid"], sent.params["From"], sent.params["To"]) == (LIVE_SID, FROM, TO)
    assert sent.params["ApiVersion"] == "2010-04-01"
    assert "ErrorCode" not in delivered.params
    assert len(delivered.params["RawDlrDoneDate"]) == 10


def test_news_that_is_slow_on_its_way_is_not_overtaken_by_what_followed(
    clean_simulator: SimulatorServer, webhook_receiver: WebhookReceiver
) -> None:
    webhook_receiver.delay_seconds_by_status = {"sent": 0.3}
    found = _wait_for_callbacks(webhook_receiver, _send_with_callback(clean_simulator, webhook_receiver), 2)
    assert [post.params["MessageStatus"] for post in found] == ["sent", "delivered"]


def test_a_changed_receipt_does_not_pass_the_signature(
    clean_simulator: SimulatorServer, webhook_receiver: WebhookReceiver
) -> None:
    first = _wait_for_callbacks(webhook_receiver, _send_with_callback(clean_simulator, webhook_receiver), 1)[0]
    assert not ReceivedWebhook(first.url, {**first.params, "To": FROM}, first.signature).is_signed()


@pytest.mark.parametrize(
    ("to", "code"),
    [
        ("+12025550190", "30003"),
        ("+12025550191", "30005"),
        ("+12025550192", "30006"),
        ("+12025550193", "30007"),
        ("+12025550194", "30008"),
    ],
)
def test_some_numbers_always_fail(
    clean_simulator: SimulatorServer, webhook_receiver: WebhookReceiver, to: str, code: str
) -> None:
    last = _wait_for_callbacks(webhook_receiver, _send_with_callback(clean_simulator, webhook_receiver, to), 2)[-1]
    assert (last.params["MessageStatus"], last.params["ErrorCode"]) == ("undelivered", code)
    assert last.is_signed()


def test_one_number_stays_at_sent(clean_simulator: SimulatorServer, webhook_receiver: WebhookReceiver) -> None:
    sid = _send_with_callback(clean_simulator, webhook_receiver, "+12025550195")
    wait_for(lambda: clean_simulator.list_messages()[0]["reached_at_ms"], "the handset to have it")
    assert clean_simulator.list_messages()[0]["status"] == "sent"
    assert webhook_receiver.statuses(sid) == ["sent"]


def test_receipts_are_doubled(clean_simulator: SimulatorServer, webhook_receiver: WebhookReceiver) -> None:
    clean_simulator.set_faults(receipts={"delay_ms": 10, "duplicate": 1})
    sid = _send_with_callback(clean_simulator, webhook_receiver)
    _wait_for_callbacks(webhook_receiver, sid, 4)
    assert sorted(webhook_receiver.statuses(sid)) == ["delivered", "delivered", "sent", "sent"]


def test_receipts_are_lost(clean_simulator: SimulatorServer, webhook_receiver: WebhookReceiver) -> None:
    clean_simulator.set_faults(receipts={"delay_ms": 10, "drop": 1})
    sid = _send_with_callback(clean_simulator, webhook_receiver)
    wait_for(lambda: clean_simulator.list_messages()[0]["status"] == "delivered", "delivery")
    assert webhook_receiver.statuses(sid) == []
    assert [each["dropped"] for each in clean_simulator.list_messages()[0]["receipts"]] == [True, True]


def test_receipts_come_in_the_wrong_order(clean_simulator: SimulatorServer, webhook_receiver: WebhookReceiver) -> None:
    clean_simulator.set_faults(receipts={"delay_ms": 100, "reorder": True})
    sid = _send_with_callback(clean_simulator, webhook_receiver)
    _wait_for_callbacks(webhook_receiver, sid, 2)
    assert webhook_receiver.statuses(sid) == ["delivered", "sent"]
    assert clean_simulator.list_messages()[0]["status"] == "delivered"


@pytest.mark.parametrize(("final", "code"), [("undelivered", 30003), ("failed", 30034)])
def test_a_final_status_can_be_set(
    clean_simulator: SimulatorServer, webhook_receiver: WebhookReceiver, final: str, code: int
) -> None:
    clean_simulator.set_faults(receipts={"delay_ms": 10, "final": final, "error_code": code})
    last = _wait_for_callbacks(webhook_receiver, _send_with_callback(clean_simulator, webhook_receiver), 2)[-1]
    assert (last.params["MessageStatus"], last.params["ErrorCode"]) == (final, str(code))


def test_a_rejection_by_the_carrier_comes_as_a_receipt(
    clean_simulator: SimulatorServer, webhook_receiver: WebhookReceiver
) -> None:
    clean_simulator.set_faults(rules=[{"kind": "reject", "code": 30007}], receipts={"delay_ms": 10})
    last = _wait_for_callbacks(webhook_receiver, _send_with_callback(clean_simulator, webhook_receiver), 2)[-1]
    assert last.params["ErrorCode"] == "30007"


def test_a_receipt_nobody_takes_is_noted(clean_simulator: SimulatorServer) -> None:
    clean_simulator.send(StatusCallback="http://127.0.0.1:9/nobody")

    def notes() -> list[str]:
        receipts = clean_simulator.list_messages()[0]["receipts"]
        return [each["answer"] for each in receipts if each["answer"]]

    assert wait_for(notes, "a note")[0].startswith("no connection")


def test_a_receipt_is_told_again_as_often_as_its_address_asks(
    clean_simulator: SimulatorServer, webhook_receiver: WebhookReceiver
) -> None:
    webhook_receiver.status = 503
    asking = str(clean_simulator.send(StatusCallback=webhook_receiver.url("/receipt#rc=2&rp=5xx,ct")).json()["sid"])
    silent = str(clean_simulator.send(StatusCallback=webhook_receiver.url("/receipt#rc=2&rp=ct")).json()["sid"])
    found = _wait_for_callbacks(webhook_receiver, asking, 6)
    assert sorted(post.params["MessageStatus"] for post in found) == ["delivered"] * 3 + ["sent"] * 3
    assert all(post.is_signed() and "#" not in post.url for post in found)
    assert sorted(webhook_receiver.statuses(silent)) == ["delivered", "sent"]

"""Receipts (status callbacks) as they arrive at a real web server."""

import pytest

from tests.simulator.simulator_server import FROM, LIVE_SID, TO, Simulator, WebhookPost, WebhookServer, wait_for


def _sent(simulator: Simulator, webhooks: WebhookServer, to: str = TO) -> str:
    return str(simulator.send(to=to, StatusCallback=webhooks.url("/receipt?id=7&x=a%20b")).json()["sid"])


def _posts(webhooks: WebhookServer, sid: str, count: int) -> list[WebhookPost]:
    wait_for(lambda: len(webhooks.statuses(sid)) >= count, f"{count} receipts")
    return [post for post in webhooks.posts if post.params["MessageSid"] == sid]


def test_receipts_are_signed(simulator_fresh: Simulator, simulator_webhooks: WebhookServer) -> None:
    sid = _sent(simulator_fresh, simulator_webhooks)
    sent, delivered = _posts(simulator_webhooks, sid, 2)
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


def test_a_slow_receipt_is_not_overtaken_by_the_next(
    simulator_fresh: Simulator, simulator_webhooks: WebhookServer
) -> None:
    simulator_webhooks.delays = {"sent": 0.3}
    posts = _posts(simulator_webhooks, _sent(simulator_fresh, simulator_webhooks), 2)
    assert [post.params["MessageStatus"] for post in posts] == ["sent", "delivered"]


def test_a_changed_receipt_fails_the_signature_check(
    simulator_fresh: Simulator, simulator_webhooks: WebhookServer
) -> None:
    first = _posts(simulator_webhooks, _sent(simulator_fresh, simulator_webhooks), 1)[0]
    assert not WebhookPost(first.url, {**first.params, "To": FROM}, first.signature).is_signed()


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
def test_numbers_with_a_fixed_error_fail_with_it(
    simulator_fresh: Simulator, simulator_webhooks: WebhookServer, to: str, code: str
) -> None:
    last = _posts(simulator_webhooks, _sent(simulator_fresh, simulator_webhooks, to), 2)[-1]
    assert (last.params["MessageStatus"], last.params["ErrorCode"]) == ("undelivered", code)
    assert last.is_signed()


def test_a_text_to_195_stays_at_sent(simulator_fresh: Simulator, simulator_webhooks: WebhookServer) -> None:
    sid = _sent(simulator_fresh, simulator_webhooks, "+12025550195")
    wait_for(lambda: simulator_fresh.accepted()[0]["reached_at_ms"], "the text to reach the handset")
    assert simulator_fresh.accepted()[0]["status"] == "sent"
    assert simulator_webhooks.statuses(sid) == ["sent"]


def test_receipts_can_be_duplicated(simulator_fresh: Simulator, simulator_webhooks: WebhookServer) -> None:
    simulator_fresh.faults(receipts={"delay_ms": 10, "duplicate": 1})
    sid = _sent(simulator_fresh, simulator_webhooks)
    _posts(simulator_webhooks, sid, 4)
    assert sorted(simulator_webhooks.statuses(sid)) == ["delivered", "delivered", "sent", "sent"]


def test_receipts_can_be_dropped(simulator_fresh: Simulator, simulator_webhooks: WebhookServer) -> None:
    simulator_fresh.faults(receipts={"delay_ms": 10, "drop": 1})
    sid = _sent(simulator_fresh, simulator_webhooks)
    wait_for(lambda: simulator_fresh.accepted()[0]["status"] == "delivered", "delivery")
    assert simulator_webhooks.statuses(sid) == []
    assert [receipt["dropped"] for receipt in simulator_fresh.accepted()[0]["receipts"]] == [True, True]


def test_receipts_can_be_reordered(simulator_fresh: Simulator, simulator_webhooks: WebhookServer) -> None:
    simulator_fresh.faults(receipts={"delay_ms": 100, "reorder": True})
    sid = _sent(simulator_fresh, simulator_webhooks)
    _posts(simulator_webhooks, sid, 2)
    assert simulator_webhooks.statuses(sid) == ["delivered", "sent"]
    assert simulator_fresh.accepted()[0]["status"] == "delivered"


@pytest.mark.parametrize(("final", "code"), [("undelivered", 30003), ("failed", 30034)])
def test_a_final_status_can_be_set(
    simulator_fresh: Simulator, simulator_webhooks: WebhookServer, final: str, code: int
) -> None:
    simulator_fresh.faults(receipts={"delay_ms": 10, "final": final, "error_code": code})
    last = _posts(simulator_webhooks, _sent(simulator_fresh, simulator_webhooks), 2)[-1]
    assert (last.params["MessageStatus"], last.params["ErrorCode"]) == (final, str(code))


def test_a_carrier_error_arrives_in_a_receipt(simulator_fresh: Simulator, simulator_webhooks: WebhookServer) -> None:
    simulator_fresh.faults(rules=[{"kind": "reject", "code": 30007}], receipts={"delay_ms": 10})
    last = _posts(simulator_webhooks, _sent(simulator_fresh, simulator_webhooks), 2)[-1]
    assert last.params["ErrorCode"] == "30007"


def test_a_failed_receipt_is_recorded(simulator_fresh: Simulator) -> None:
    simulator_fresh.send(StatusCallback="http://127.0.0.1:9/unreachable")

    def errors() -> list[str]:
        receipts = simulator_fresh.accepted()[0]["receipts"]
        return [receipt["answer"] for receipt in receipts if receipt["answer"]]

    assert wait_for(errors, "an error")[0].startswith("no connection")


def test_a_receipt_is_retried_as_its_url_specifies(
    simulator_fresh: Simulator, simulator_webhooks: WebhookServer
) -> None:
    simulator_webhooks.status = 503
    with_retries = str(
        simulator_fresh.send(StatusCallback=simulator_webhooks.url("/receipt#rc=2&rp=5xx,ct")).json()["sid"]
    )
    without_retries = str(
        simulator_fresh.send(StatusCallback=simulator_webhooks.url("/receipt#rc=2&rp=ct")).json()["sid"]
    )
    posts = _posts(simulator_webhooks, with_retries, 6)
    assert sorted(post.params["MessageStatus"] for post in posts) == ["delivered"] * 3 + ["sent"] * 3
    assert all(post.is_signed() and "#" not in post.url for post in posts)
    assert sorted(simulator_webhooks.statuses(without_retries)) == ["delivered", "sent"]

"""Rejections by Twilio: whose fault each is, what waits meanwhile, and how long a limit holds a sending number."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from sqlalchemy import select

from portal.core.extensions import db
from portal.core.transaction import transaction
from portal.delivery.receipts import record_receipt
from portal.delivery.rules.provider_quotas import cooldown_ends_ms
from portal.delivery.sms_attempt import ClaimedText, SmsResult
from portal.delivery.sms_claim import record_and_claim
from portal.gateways.outcomes import Accepted, AccountFault, NotSent, Outcome, Rejected, Unknown, UnrecognizedError
from portal.gateways.provider import OutgoingText
from portal.gateways.rules.provider_codes import TOO_MANY_REQUESTS, Cooldown, explain_error_code
from portal.gateways.rules.provider_schema import Credentials, SenderSettings
from portal.gateways.twilio_messages import TwilioGateway
from portal.messages.tables.communications import Delivery
from portal.settings.tables.sending_numbers import SendingNumber, paused_senders, resume_senders
from tests.support import multi_sender_scenario, scenario
from tests.support.fakes import stub_servers

HOUR_MS = 3_600_000
UNKNOWN_CODE = "21999"
"""A code that Twilio does not have yet."""


@dataclass
class Twilio:
    """A stub server that gives the configured response."""

    url: str = ""
    status: int = 200
    body: bytes = b""
    retry_after: str = ""

    def respond(self, status: int, body: object, retry_after: str = "") -> Outcome:
        self.status, self.retry_after = status, retry_after
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        gateway = TwilioGateway(self.url, "https://portal.example.org", 5)
        text = OutgoingText("+12025550101", "Words", "attempt", 60)
        return gateway.submit_message(Credentials("AC1", "AC1", "token"), SenderSettings("+12025550100", "", 1), text)


@pytest.fixture(scope="module")
def twilio_stub() -> Iterator[Twilio]:
    stub = Twilio()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(stub.status)
            if stub.retry_after:
                self.send_header("Retry-After", stub.retry_after)
            self.send_header("Content-Length", str(len(stub.body)))
            self.end_headers()
            self.wfile.write(stub.body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    stub.url = f"http://127.0.0.1:{server.server_port}"
    with stub_servers.serving_in_thread(server):
        yield stub


def error(code: object) -> dict[str, object]:
    return {"code": code, "message": "Words of Twilio", "status": 400}


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (429, error(63038), NotSent, "63038"),
        (400, error("63038"), NotSent, "63038"),
        (400, error(21608), UnrecognizedError, "21608"),
        (503, error(63038), NotSent, "63038"),
        (429, {"errors": [{"code": 30454, "message": "Limit"}]}, NotSent, "30454"),
        (400, error(20429), NotSent, TOO_MANY_REQUESTS),
        (503, error(20429), NotSent, TOO_MANY_REQUESTS),
        (429, b"", NotSent, TOO_MANY_REQUESTS),
        (429, {"type": "x", "title": "x", "status": 429, "code": 20429, "detail": "x"}, NotSent, TOO_MANY_REQUESTS),
        (429, error(63999), NotSent, "63999"),
        (429, error(20003), AccountFault, "20003"),
        (500, error(21610), Rejected, "21610"),
        (401, error(21211), Rejected, "21211"),
        (400, error(21660), AccountFault, "21660"),
        (403, error(20403), AccountFault, "20403"),
        (400, error(20199), AccountFault, "20199"),
        (404, error(20404), AccountFault, "20404"),
        (401, b"", AccountFault, "401"),
        (401, error(29999), AccountFault, "29999"),
        (400, error(29999), UnrecognizedError, "29999"),
        (404, error(21999), UnrecognizedError, "21999"),
        (403, error(21999), UnrecognizedError, "21999"),
        (403, b"<html>", UnrecognizedError, "403"),
        (403, {"code": 403, "message": "Forbidden"}, UnrecognizedError, "403"),
        (400, b"<html>", NotSent, ""),
        (404, {"code": 404}, NotSent, ""),
        (500, error(20500), Unknown, None),
        (503, error(20503), Unknown, None),
        (500, error(29999), Unknown, None),
        (503, b"", Unknown, None),
        (408, error(29999), Unknown, None),
        (200, error(21211), Unknown, None),
    ],
)
def test_error_code_takes_precedence_over_the_http_status(
    twilio_stub: Twilio, status: int, body: object, kind: type[Outcome], code: str | None
) -> None:
    outcome = twilio_stub.respond(status, body)
    assert type(outcome) is kind
    assert getattr(outcome, "code", None) == code


def test_retry_after_counts_whatever_the_status(twilio_stub: Twilio) -> None:
    outcome = twilio_stub.respond(400, error(20429), retry_after="7")
    assert isinstance(outcome, NotSent)
    assert outcome.retry_after_seconds == 7


@dataclass
class Lane:
    """The lane with a clock of its own, called as workers call it."""

    now_ms: int

    def claim(self, limit: int = 64, wait_ms: int = 0) -> list[ClaimedText]:
        self.now_ms += wait_ms
        return list(record_and_claim([], limit, self._us).claimed)

    def record(self, claimed: Sequence[ClaimedText], outcome: Outcome | Callable[[int], Outcome]) -> None:
        """Record one result after another, as different workers would."""
        for index, text in enumerate(claimed):
            answer = outcome(index) if callable(outcome) else outcome
            result = SmsResult(text, answer)
            record_and_claim([result], 0, self._us)
            db.session.remove()

    def _us(self) -> int:
        return self.now_ms * 1000

    def receive(self, claimed: Sequence[ClaimedText], status: str, code: str = "") -> None:
        for text in claimed:
            form = {"MessageSid": f"SM{text.attempt.id}", "MessageStatus": status, "ErrorCode": code}
            record_receipt({name: value for name, value in form.items() if value}, text.attempt.id, self.now_ms)
        db.session.remove()


@pytest.fixture
def lane(app: object) -> Lane:
    """Six accounts with a waiting text each, and one sending number."""
    scenario.configure_gateway()
    scenario.create_accounts(6, with_sms=6)
    scenario.add_template()
    scenario.create_expanded_send()
    return Lane(scenario.now_ms() + 1_000)


def accept(index: int) -> Accepted:
    return Accepted(f"SM{index}")


def pause_reasons() -> list[str]:
    db.session.remove()
    return [row.paused_reason for row in paused_senders()]


@pytest.mark.parametrize("code", [UNKNOWN_CODE, "403", "29999", "39999"])
def test_unexplained_rejections_in_a_row_pause_the_number(lane: Lane, code: str) -> None:
    claimed = lane.claim()
    lane.record(claimed[:2], UnrecognizedError("The 'To' number +12025550101 is odd.", code=code))
    assert pause_reasons() == []
    lane.record(claimed[2:], UnrecognizedError("The 'To' number +12025550101 is odd.", code=code))
    (reason,) = pause_reasons()
    assert reason.startswith(f"{code}: Texts to 3 different people in a row were refused")
    assert explain_error_code(code).docs_url == f"https://www.twilio.com/docs/api/errors/{code}"
    assert "2025550101" not in reason
    assert scenario.count_states("sms") == {"ready": 6}
    assert {row.attempt_count for row in scenario.deliveries("sms")} == {0}
    assert lane.claim(wait_ms=2 * HOUR_MS) == []
    with transaction():
        resume_senders(lane.now_ms)
    assert len(lane.claim(wait_ms=1_000)) == 6
    assert db.session.scalars(select(SendingNumber.unrecognized_rejections)).all() == [""]


def test_repeated_rejection_of_one_recipient_pauses_nothing(lane: Lane) -> None:
    (text,) = lane.claim(1)
    lane.record([text], UnrecognizedError("No", code=UNKNOWN_CODE))
    for _ in range(5):
        again = [
            retry for retry in lane.claim(wait_ms=HOUR_MS) if retry.attempt.destination == text.attempt.destination
        ]
        lane.record(again, UnrecognizedError("No", code=UNKNOWN_CODE))
    assert pause_reasons() == []
    assert "rejected" not in scenario.count_states("sms")


def test_rejection_is_final_if_other_texts_are_accepted(lane: Lane) -> None:
    bad, *good = lane.claim()
    for _ in range(2):
        lane.record([bad], UnrecognizedError("No", code=UNKNOWN_CODE))
        lane.record(good[:2], accept)
        good = good[2:]
        (bad,) = lane.claim(wait_ms=HOUR_MS)
    lane.record([bad], UnrecognizedError("No", code=UNKNOWN_CODE))
    db.session.remove()
    row = db.session.get_one(Delivery, bad.attempt.delivery_id)
    assert (row.state, row.error_code) == ("rejected", UNKNOWN_CODE)
    assert pause_reasons() == []


@pytest.mark.parametrize("times", [2, 3, 5])
def test_repeated_resuming_rejects_no_text(lane: Lane, times: int) -> None:
    for _ in range(times):
        lane.record(lane.claim(wait_ms=HOUR_MS), UnrecognizedError("No", code=UNKNOWN_CODE))
        assert len(pause_reasons()) == 1
        with transaction():
            resume_senders(lane.now_ms + 1)
    assert scenario.count_states("sms") == {"ready": 6}


def test_response_against_proof_of_acceptance_is_ignored(lane: Lane) -> None:
    claimed = lane.claim()
    lane.receive(claimed, "sent")
    lane.record(claimed[:4], UnrecognizedError("No", code=UNKNOWN_CODE))
    lane.record(claimed[4:], NotSent("Limit", None, 429, "63038"))
    assert pause_reasons() == []
    assert db.session.scalars(select(SendingNumber.limit_resets_at_ms)).all() == [0]


def test_accepted_text_resets_the_rejection_count(lane: Lane) -> None:
    claimed = lane.claim()
    lane.record(claimed, lambda index: accept(index) if index == 2 else UnrecognizedError("No", code=UNKNOWN_CODE))
    assert len(pause_reasons()) == 1, "three follow it"
    with transaction():
        resume_senders(lane.now_ms)
    claimed = lane.claim(wait_ms=HOUR_MS)
    lane.record(claimed, lambda index: accept(10 + index) if index == 2 else UnrecognizedError("No", code=UNKNOWN_CODE))
    assert pause_reasons() == [], "two, then two more"


def test_rejections_count_across_sending_numbers(app: object) -> None:
    multi_sender_scenario.set_up_three_numbers()
    multi_sender_scenario.send_to_new_accounts(12)
    lane = Lane(scenario.now_ms() + 1_000)
    claimed = lane.claim()
    first, second, third = (
        [text for text in claimed if text.sender.sender_key == key] for key in multi_sender_scenario.SENDING_NUMBERS
    )
    lane.record(first[:1], accept)
    lane.record(second[:1], UnrecognizedError("No", code=UNKNOWN_CODE))
    lane.record([*third[:1], *second[1:2]], UnrecognizedError("No", code=UNKNOWN_CODE))
    db.session.remove()
    assert [row.number for row in paused_senders()] == multi_sender_scenario.SENDING_NUMBERS[1:]


@pytest.mark.parametrize("code", ["30990", "39999", "30388"])
def test_unexplained_failure_receipts_pause_the_number(lane: Lane, code: str) -> None:
    claimed = lane.claim()
    lane.record(claimed, lambda index: Accepted(f"SM{claimed[index].attempt.id}"))
    lane.receive(claimed[:2], "undelivered", code)
    lane.receive(claimed[:2], "failed", code)
    assert pause_reasons() == [], "conflicts and repeats are no further recipients"
    lane.receive(claimed[2:3], "failed", code)
    assert len(pause_reasons()) == 1


def test_delivered_text_resets_the_failure_count(lane: Lane) -> None:
    claimed = lane.claim()
    lane.record(claimed, lambda index: Accepted(f"SM{claimed[index].attempt.id}"))
    lane.receive(claimed[:2], "undelivered", "30990")
    lane.receive(claimed[2:3], "delivered")
    lane.receive(claimed[3:5], "undelivered", "30990")
    assert pause_reasons() == []
    lane.receive(claimed[5:], "undelivered", "30990")
    assert len(pause_reasons()) == 1


PACIFIC_MIDNIGHT_MS = 1_796_112_000_000
"""2026-12-01 00:00 in Los Angeles, 08:00 UTC."""


@pytest.mark.parametrize(
    ("cooldown", "attempted_at_ms", "ends_ms"),
    [
        (Cooldown.PACIFIC_MIDNIGHT, PACIFIC_MIDNIGHT_MS - 1, PACIFIC_MIDNIGHT_MS),
        (Cooldown.PACIFIC_MIDNIGHT, PACIFIC_MIDNIGHT_MS - 23 * HOUR_MS, PACIFIC_MIDNIGHT_MS),
        (Cooldown.PACIFIC_MIDNIGHT, 1_793_516_400_000, 1_793_606_400_000),  # 1 November has 25 hours
        (Cooldown.NEXT_DAY, PACIFIC_MIDNIGHT_MS, PACIFIC_MIDNIGHT_MS + 16 * HOUR_MS),
        (Cooldown.HALF_HOUR, 5, 5 + HOUR_MS // 2),
        (Cooldown.FEW_MINUTES, 5, 5 + HOUR_MS // 12),
    ],
)
def test_cooldown_lasts_until_the_limit_resets(cooldown: Cooldown, attempted_at_ms: int, ends_ms: int) -> None:
    assert cooldown_ends_ms(cooldown, attempted_at_ms) == ends_ms


def test_rolling_limit_reached_again_waits_an_hour() -> None:
    assert cooldown_ends_ms(Cooldown.NEXT_DAY, 10_000, previous_end_ms=9_000) == 10_000 + HOUR_MS


@pytest.mark.parametrize("code", ["63038", "30454", "21611", "21730"])
def test_limit_holds_the_number_without_counting_attempts(lane: Lane, code: str) -> None:
    claimed = lane.claim()
    explanation = explain_error_code(code)
    assert explanation.cooldown
    until_ms = cooldown_ends_ms(explanation.cooldown, lane.now_ms)
    lane.record(claimed, NotSent(explanation.sentence, None, 429, code))
    assert scenario.count_states("sms") == {"ready": 6}
    assert {row.attempt_count for row in scenario.deliveries("sms")} == {0}
    db.session.remove()
    assert record_and_claim([], 64, lambda: (until_ms - 1_000) * 1000).claimed == ()
    assert len(record_and_claim([], 64, lambda: (until_ms + 1) * 1000).claimed) == 6
    assert pause_reasons() == []


def test_unknown_limit_waits_for_minutes(lane: Lane) -> None:
    lane.record(lane.claim(), NotSent("Weekly limit", None, 429, "63999"))
    assert lane.claim(wait_ms=200_000) == []
    assert len(lane.claim(wait_ms=200_000)) == 6


@pytest.mark.parametrize("code", ["30023", "30027", "30450", "30022", "30001"])
def test_limit_in_a_receipt_holds_waiting_texts(lane: Lane, code: str) -> None:
    (text,) = lane.claim(1)
    lane.record([text], Accepted(f"SM{text.attempt.id}"))
    lane.receive([text], "undelivered", code)
    cooldown = explain_error_code(code).cooldown
    assert cooldown
    until_ms = cooldown_ends_ms(cooldown, lane.now_ms)
    assert record_and_claim([], 64, lambda: (until_ms - 5_000) * 1000).claimed == ()
    assert len(record_and_claim([], 64, lambda: (until_ms + 5_000) * 1000).claimed) == 5


def test_late_limit_receipt_holds_nothing(lane: Lane) -> None:
    (text,) = lane.claim(1)
    lane.record([text], Accepted(f"SM{text.attempt.id}"))
    lane.now_ms += 48 * HOUR_MS
    lane.receive([text], "undelivered", "30023")
    assert len(lane.claim()) == 5


def test_limit_holds_the_numbers_it_affects(app: object) -> None:
    multi_sender_scenario.set_up_three_numbers()
    multi_sender_scenario.send_to_new_accounts(12)
    lane = Lane(scenario.now_ms() + 1_000)
    (limited,) = lane.claim(1)
    lane.record([limited], NotSent("Full", None, 400, "21611"))
    others = [text for _ in range(4) for text in lane.claim(wait_ms=1_000)]
    assert {text.sender.sender_key for text in others} == {*multi_sender_scenario.SENDING_NUMBERS} - {
        limited.sender.sender_key
    }
    lane.record(others[:1], NotSent("Limit", None, 429, "63038"))
    assert lane.claim(wait_ms=600_000) == []
    with transaction():
        resume_senders(lane.now_ms)
    assert lane.claim(wait_ms=1_000), "resuming tries the limit again"

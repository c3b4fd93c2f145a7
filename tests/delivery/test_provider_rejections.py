"""What Twilio refuses: whose fault it is, what is kept meanwhile, and until when a limit keeps a sending number."""

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
from portal.delivery.sms_claim import ClaimedText, record_and_claim
from portal.delivery.sms_results import SmsResult
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
NEW = "21999"
"""A code that Twilio does not have yet."""


@dataclass
class Twilio:
    """A server that answers as it was told last."""

    url: str = ""
    status: int = 200
    body: bytes = b""
    retry_after: str = ""

    def says(self, status: int, body: object, retry_after: str = "") -> Outcome:
        self.status, self.retry_after = status, retry_after
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        gateway = TwilioGateway(self.url, "https://portal.example.org", 5)
        text = OutgoingText("+12025550101", "Words", "attempt", 60)
        return gateway.submit_message(Credentials("AC1", "AC1", "token"), SenderSettings("+12025550100", "", 1), text)


@pytest.fixture(scope="module")
def twilio_stub() -> Iterator[Twilio]:
    told = Twilio()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(told.status)
            if told.retry_after:
                self.send_header("Retry-After", told.retry_after)
            self.send_header("Content-Length", str(len(told.body)))
            self.end_headers()
            self.wfile.write(told.body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told.url = f"http://127.0.0.1:{server.server_port}"
    with stub_servers.serving_in_thread(server):
        yield told


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
def test_the_code_in_the_body_decides_before_the_status(
    twilio_stub: Twilio, status: int, body: object, kind: type[Outcome], code: str | None
) -> None:
    outcome = twilio_stub.says(status, body)
    assert type(outcome) is kind
    assert getattr(outcome, "code", None) == code


def test_a_wait_that_twilio_names_counts_whatever_the_status(twilio_stub: Twilio) -> None:
    outcome = twilio_stub.says(400, error(20429), retry_after="7")
    assert isinstance(outcome, NotSent)
    assert outcome.retry_after_seconds == 7


@dataclass
class Lane:
    """The lane at a time of its own, called as workers call it."""

    now_ms: int

    def claim(self, most: int = 64, wait_ms: int = 0) -> list[ClaimedText]:
        self.now_ms += wait_ms
        return list(record_and_claim([], most, self._us).claimed)

    def answers(self, claimed: Sequence[ClaimedText], outcome: Outcome | Callable[[int], Outcome]) -> None:
        """One after the other, as different workers would."""
        for place, one in enumerate(claimed):
            told = outcome(place) if callable(outcome) else outcome
            result = SmsResult(one.attempt_id, one.delivery_id, one.mode, one.sender.sender_key, told, one.kind)
            record_and_claim([result], 0, self._us)
            db.session.remove()

    def _us(self) -> int:
        return self.now_ms * 1000

    def receipts(self, claimed: Sequence[ClaimedText], status: str, code: str = "") -> None:
        for one in claimed:
            form = {"MessageSid": f"SM{one.attempt_id}", "MessageStatus": status, "ErrorCode": code}
            record_receipt({name: value for name, value in form.items() if value}, one.attempt_id, self.now_ms)
        db.session.remove()


@pytest.fixture
def lane(app: object) -> Lane:
    """Six people, six texts waiting, one sending number."""
    scenario.configure_gateway()
    scenario.create_accounts(6, with_sms=6)
    scenario.add_template()
    scenario.create_expanded_send()
    return Lane(scenario.now_ms() + 1_000)


def taken(place: int) -> Accepted:
    return Accepted(f"SM{place}")


def pauses() -> list[str]:
    db.session.remove()
    return [row.paused_reason for row in paused_senders()]


@pytest.mark.parametrize("code", [NEW, "403", "29999", "39999"])
def test_what_nobody_can_explain_of_several_people_in_a_row_pauses_and_keeps_every_text(lane: Lane, code: str) -> None:
    claimed = lane.claim()
    lane.answers(claimed[:2], UnrecognizedError("The 'To' number +12025550101 is odd.", code=code))
    assert pauses() == []
    lane.answers(claimed[2:], UnrecognizedError("The 'To' number +12025550101 is odd.", code=code))
    (reason,) = pauses()
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


def test_one_person_refused_again_and_again_pauses_nothing(lane: Lane) -> None:
    (one,) = lane.claim(1)
    lane.answers([one], UnrecognizedError("No", code=NEW))
    for _ in range(5):
        again = [text for text in lane.claim(wait_ms=HOUR_MS) if text.sent_to == one.sent_to]
        lane.answers(again, UnrecognizedError("No", code=NEW))
    assert pauses() == []
    assert "rejected" not in scenario.count_states("sms")


def test_a_text_is_refused_for_good_when_others_pass_meanwhile(lane: Lane) -> None:
    bad, *good = lane.claim()
    for _ in range(2):
        lane.answers([bad], UnrecognizedError("No", code=NEW))
        lane.answers(good[:2], taken)
        good = good[2:]
        (bad,) = lane.claim(wait_ms=HOUR_MS)
    lane.answers([bad], UnrecognizedError("No", code=NEW))
    db.session.remove()
    row = db.session.get_one(Delivery, bad.delivery_id)
    assert (row.state, row.error_code) == ("rejected", NEW)
    assert pauses() == []


@pytest.mark.parametrize("times", [2, 3, 5])
def test_resuming_again_and_again_while_nothing_passes_refuses_no_text(lane: Lane, times: int) -> None:
    for _ in range(times):
        lane.answers(lane.claim(wait_ms=HOUR_MS), UnrecognizedError("No", code=NEW))
        assert len(pauses()) == 1
        with transaction():
            resume_senders(lane.now_ms + 1)
    assert scenario.count_states("sms") == {"ready": 6}


def test_an_answer_against_the_proof_of_the_contrary_counts_for_nothing(lane: Lane) -> None:
    claimed = lane.claim()
    lane.receipts(claimed, "sent")
    lane.answers(claimed[:4], UnrecognizedError("No", code=NEW))
    lane.answers(claimed[4:], NotSent("Limit", None, 429, "63038"))
    assert pauses() == []
    assert db.session.scalars(select(SendingNumber.limit_resets_at_ms)).all() == [0]


def test_a_text_that_passes_begins_the_row_anew(lane: Lane) -> None:
    claimed = lane.claim()
    lane.answers(claimed, lambda place: taken(place) if place == 2 else UnrecognizedError("No", code=NEW))
    assert len(pauses()) == 1, "three came after it"
    with transaction():
        resume_senders(lane.now_ms)
    claimed = lane.claim(wait_ms=HOUR_MS)
    lane.answers(claimed, lambda place: taken(10 + place) if place == 2 else UnrecognizedError("No", code=NEW))
    assert pauses() == [], "two, then two"


def test_every_sending_number_from_which_nothing_passes_counts_together(app: object) -> None:
    multi_sender_scenario.set_up_three_numbers()
    multi_sender_scenario.send_to_new_accounts(12)
    lane = Lane(scenario.now_ms() + 1_000)
    claimed = lane.claim()
    first, second, third = (
        [one for one in claimed if one.sender.sender_key == key] for key in multi_sender_scenario.SENDING_NUMBERS
    )
    lane.answers(first[:1], taken)
    lane.answers(second[:1], UnrecognizedError("No", code=NEW))
    lane.answers([*third[:1], *second[1:2]], UnrecognizedError("No", code=NEW))
    db.session.remove()
    assert [row.number for row in paused_senders()] == multi_sender_scenario.SENDING_NUMBERS[1:]


@pytest.mark.parametrize("code", ["30990", "39999", "30388"])
def test_failures_that_nobody_can_explain_pause_by_receipt_as_well(lane: Lane, code: str) -> None:
    claimed = lane.claim()
    lane.answers(claimed, lambda place: Accepted(f"SM{claimed[place].attempt_id}"))
    lane.receipts(claimed[:2], "undelivered", code)
    lane.receipts(claimed[:2], "failed", code)
    assert pauses() == [], "what contradicts or repeats is no other person"
    lane.receipts(claimed[2:3], "failed", code)
    assert len(pauses()) == 1


def test_a_text_that_arrives_begins_the_row_of_failures_anew(lane: Lane) -> None:
    claimed = lane.claim()
    lane.answers(claimed, lambda place: Accepted(f"SM{claimed[place].attempt_id}"))
    lane.receipts(claimed[:2], "undelivered", "30990")
    lane.receipts(claimed[2:3], "delivered")
    lane.receipts(claimed[3:5], "undelivered", "30990")
    assert pauses() == []
    lane.receipts(claimed[5:], "undelivered", "30990")
    assert len(pauses()) == 1


PACIFIC_MIDNIGHT_MS = 1_796_112_000_000
"""2026-12-01 00:00 in Los Angeles, 08:00 UTC."""


@pytest.mark.parametrize(
    ("rest", "tried_ms", "until_ms"),
    [
        (Cooldown.PACIFIC_MIDNIGHT, PACIFIC_MIDNIGHT_MS - 1, PACIFIC_MIDNIGHT_MS),
        (Cooldown.PACIFIC_MIDNIGHT, PACIFIC_MIDNIGHT_MS - 23 * HOUR_MS, PACIFIC_MIDNIGHT_MS),
        (Cooldown.PACIFIC_MIDNIGHT, 1_793_516_400_000, 1_793_606_400_000),  # the day of 25 hours, 1 November
        (Cooldown.NEXT_DAY, PACIFIC_MIDNIGHT_MS, PACIFIC_MIDNIGHT_MS + 16 * HOUR_MS),
        (Cooldown.HALF_HOUR, 5, 5 + HOUR_MS // 2),
        (Cooldown.FEW_MINUTES, 5, 5 + HOUR_MS // 12),
    ],
)
def test_a_limit_lasts_until_its_time(rest: Cooldown, tried_ms: int, until_ms: int) -> None:
    assert cooldown_ends_ms(rest, tried_ms) == until_ms


def test_a_limit_of_the_last_day_that_is_met_again_at_once_rests_by_the_hour() -> None:
    assert cooldown_ends_ms(Cooldown.NEXT_DAY, 10_000, previous_end_ms=9_000) == 10_000 + HOUR_MS


@pytest.mark.parametrize("code", ["63038", "30454", "21611", "21730"])
def test_a_limit_keeps_the_number_until_its_time_and_burns_nothing(lane: Lane, code: str) -> None:
    claimed = lane.claim()
    known = explain_error_code(code)
    assert known.cooldown
    until_ms = cooldown_ends_ms(known.cooldown, lane.now_ms)
    lane.answers(claimed, NotSent(known.sentence, None, 429, code))
    assert scenario.count_states("sms") == {"ready": 6}
    assert {row.attempt_count for row in scenario.deliveries("sms")} == {0}
    db.session.remove()
    assert record_and_claim([], 64, lambda: (until_ms - 1_000) * 1000).claimed == ()
    assert len(record_and_claim([], 64, lambda: (until_ms + 1) * 1000).claimed) == 6
    assert pauses() == []


def test_a_limit_that_is_new_rests_for_minutes(lane: Lane) -> None:
    lane.answers(lane.claim(), NotSent("Weekly limit", None, 429, "63999"))
    assert lane.claim(wait_ms=200_000) == []
    assert len(lane.claim(wait_ms=200_000)) == 6


@pytest.mark.parametrize("code", ["30023", "30027", "30450", "30022", "30001"])
def test_a_limit_that_a_receipt_tells_of_keeps_what_still_waits(lane: Lane, code: str) -> None:
    (one,) = lane.claim(1)
    lane.answers([one], Accepted(f"SM{one.attempt_id}"))
    lane.receipts([one], "undelivered", code)
    rest = explain_error_code(code).cooldown
    assert rest
    until_ms = cooldown_ends_ms(rest, lane.now_ms)
    assert record_and_claim([], 64, lambda: (until_ms - 5_000) * 1000).claimed == ()
    assert len(record_and_claim([], 64, lambda: (until_ms + 5_000) * 1000).claimed) == 5


def test_a_receipt_that_comes_after_the_limit_has_ended_keeps_nothing(lane: Lane) -> None:
    (one,) = lane.claim(1)
    lane.answers([one], Accepted(f"SM{one.attempt_id}"))
    lane.now_ms += 48 * HOUR_MS
    lane.receipts([one], "undelivered", "30023")
    assert len(lane.claim()) == 5


def test_a_limit_of_the_account_keeps_every_number_and_one_of_a_number_that_alone(app: object) -> None:
    multi_sender_scenario.set_up_three_numbers()
    multi_sender_scenario.send_to_new_accounts(12)
    lane = Lane(scenario.now_ms() + 1_000)
    (full,) = lane.claim(1)
    lane.answers([full], NotSent("Full", None, 400, "21611"))
    others = [one for _ in range(4) for one in lane.claim(wait_ms=1_000)]
    assert {one.sender.sender_key for one in others} == {*multi_sender_scenario.SENDING_NUMBERS} - {
        full.sender.sender_key
    }
    lane.answers(others[:1], NotSent("Limit", None, 429, "63038"))
    assert lane.claim(wait_ms=600_000) == []
    with transaction():
        resume_senders(lane.now_ms)
    assert lane.claim(wait_ms=1_000), "whoever resumes has the limit tried again"

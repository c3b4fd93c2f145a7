"""Limits on automatic replies, so that two machines that answer each other stop."""

import threading

import pytest
from flask import Flask

from portal.consent.number_overview import number_history
from portal.consent.rules.auto_reply_limits import MAX_REPLIES_PER_DAY, REPEATED_TOO_SOON, repeat_refusal
from portal.core.extensions import db
from tests.support import inbound_helpers, scenario

pytestmark = pytest.mark.usefixtures("app")

NUMBER, TO = scenario.phone_number(0), "60606"


@pytest.fixture(autouse=True)
def short_code_gateway(app: object) -> int:
    """Configure a short code, where only the portal answers, and return the time at which the test starts."""
    scenario.configure_gateway(SmsGatewaySettings='{"FromNumber": "60606"}')
    scenario.create_accounts(1, with_sms=1)
    return scenario.now_ms()


def count_auto_replies(bodies: list[str], every_ms: int, start_ms: int, number: str = NUMBER) -> int:
    """Receive the texts at an interval and count the answers."""
    answers = [
        inbound_helpers.receive_text(body, number, start_ms + index * every_ms, To=TO)
        for index, body in enumerate(bodies)
    ]
    return sum(answer is not None for answer in answers)


@pytest.mark.one_engine
@pytest.mark.parametrize("word", ["HELP", "INFO", "ayuda", "STOP", "please stop texting me"])
def test_keyword_repeated_forty_times_a_minute_is_answered_once(word: str, short_code_gateway: int) -> None:
    assert count_auto_replies([word] * 40, 1_500, short_code_gateway) == 1
    assert len(inbound_helpers.inbound_messages(NUMBER)) == 40, "every text is stored"


@pytest.mark.one_engine
def test_each_keyword_and_phone_is_answered_separately(short_code_gateway: int) -> None:
    assert count_auto_replies(["HELP", "STOP", "INFO", "AIDE"], 1_000, short_code_gateway) == 2
    assert count_auto_replies(["HELP"], 1_000, short_code_gateway + 5_000, scenario.phone_number(1)) == 1


@pytest.mark.one_engine
@pytest.mark.parametrize("every_minutes", [1, 11, 45])
def test_repeated_requests_get_at_most_five_replies_a_day(every_minutes: int, short_code_gateway: int) -> None:
    count = 24 * 60 // every_minutes - 1
    assert (
        count_auto_replies(["HELP"] * min(count, 90), every_minutes * inbound_helpers.MINUTE_MS, short_code_gateway)
        <= MAX_REPLIES_PER_DAY
    )


@pytest.mark.one_engine
def test_keyword_repeated_later_is_answered_again(short_code_gateway: int) -> None:
    assert count_auto_replies(["HELP", "HELP"], 20 * inbound_helpers.MINUTE_MS, short_code_gateway) == 2
    assert count_auto_replies(["HELP"], 0, short_code_gateway + 2 * 86_400_000) == 1


def test_alternating_stop_and_start_is_not_answered_forever(short_code_gateway: int) -> None:
    assert count_auto_replies(["STOP", "START"] * 20, 200_000, short_code_gateway) <= MAX_REPLIES_PER_DAY
    welcomes = [state for _number, state, _reason in inbound_helpers.texts_of_kind("welcome")]
    assert 1 <= sum(state != "skipped" for state in welcomes) <= MAX_REPLIES_PER_DAY
    assert ("skipped", "duplicate_welcome") in [
        (state, reason) for _number, state, reason in inbound_helpers.texts_of_kind("welcome")
    ]
    assert inbound_helpers.stored_consent_state(NUMBER) == ("P-0", False, False), "every text still counts"


def test_concurrent_webhooks_get_one_answer(app: Flask, short_code_gateway: int) -> None:
    answers: list[str | None] = []
    begin = threading.Barrier(2)

    def receive() -> None:
        with app.app_context():
            for index in range(10):
                begin.wait(30)
                answers.append(
                    inbound_helpers.receive_text("HELP", scenario.phone_number(index), short_code_gateway, To=TO)
                )

    threads = [threading.Thread(target=receive) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 20
    assert sum(answer is not None for answer in answers) == 10


@pytest.mark.one_engine
@pytest.mark.parametrize(
    ("bodies", "sender", "reason"),
    [
        (["HELP", "HELP"], TO, "less than 10 minutes earlier"),
        (["STOP", "QUIT"], TO, "was already opted out"),
        (["HELP"], "+12025550100", "the gateway answers this keyword itself"),
    ],
)
def test_history_says_why_no_answer_was_sent(
    bodies: list[str], sender: str, reason: str, short_code_gateway: int
) -> None:
    scenario.configure_gateway(SmsGatewaySettings=f'{{"FromNumber": "{sender}"}}')
    count_auto_replies(bodies, 1_000, short_code_gateway)
    db.session.remove()
    events = [item.event for item in number_history(NUMBER) if item.event]
    assert any(reason in sentence for sentence in events[-1].highlights)
    assert set(events[-1].highlights) <= set(events[-1].notes)


def test_clock_set_back_allows_no_further_answer() -> None:
    assert repeat_refusal([5_000], 4_000) == REPEATED_TOO_SOON
    assert repeat_refusal([], 4_000) == ""

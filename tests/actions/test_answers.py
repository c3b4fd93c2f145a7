"""How often a handset is answered: two machines that answer each other come to an end."""

import threading

import handsets
import pytest
import world
from flask import Flask

from portal.actions.number_board import story
from portal.domain.answering import MOST_A_DAY, why_not_again
from portal.extensions import db

pytestmark = pytest.mark.usefixtures("app")

NUMBER, TO = world.number(0), "60606"


@pytest.fixture(autouse=True)
def short_code(app: object) -> int:
    """Where Twilio answers nothing, so all answers are ours. The moment from which the test counts."""
    world.open_gateway(SmsGatewaySettings='{"FromNumber": "60606"}')
    world.people(1, with_sms=1)
    return world.now_ms()


def answers(bodies: list[str], every_ms: int, start_ms: int, number: str = NUMBER) -> int:
    """How many of the texts, one every so often, were answered."""
    said = [handsets.says(body, number, start_ms + place * every_ms, To=TO) for place, body in enumerate(bodies)]
    return sum(answer is not None for answer in said)


@pytest.mark.parametrize("word", ["HELP", "INFO", "ayuda", "STOP", "please stop texting me"])
def test_a_word_said_forty_times_in_a_minute_is_answered_once(word: str, short_code: int) -> None:
    assert answers([word] * 40, 1_500, short_code) == 1
    assert len(handsets.replies(NUMBER)) == 40, "all of them are kept"


@pytest.mark.one_engine
def test_other_words_and_other_phones_have_answers_of_their_own(short_code: int) -> None:
    assert answers(["HELP", "STOP", "INFO", "AIDE"], 1_000, short_code) == 2
    assert answers(["HELP"], 1_000, short_code + 5_000, world.number(1)) == 1


@pytest.mark.one_engine
@pytest.mark.parametrize("every_minutes", [1, 11, 45])
def test_a_machine_that_asks_again_and_again_is_answered_a_few_times_a_day(every_minutes: int, short_code: int) -> None:
    count = 24 * 60 // every_minutes - 1
    assert answers(["HELP"] * min(count, 90), every_minutes * handsets.MINUTE_MS, short_code) <= MOST_A_DAY


@pytest.mark.one_engine
def test_a_person_who_asks_again_later_is_answered_again(short_code: int) -> None:
    assert answers(["HELP", "HELP"], 20 * handsets.MINUTE_MS, short_code) == 2
    assert answers(["HELP"], 0, short_code + 2 * 86_400_000) == 1


def test_a_machine_that_says_stop_and_start_in_turn_is_told_neither_for_ever(short_code: int) -> None:
    assert answers(["STOP", "START"] * 20, 200_000, short_code) <= MOST_A_DAY
    welcomes = [state for _number, state, _reason in handsets.texts("welcome")]
    assert 1 <= sum(state != "skipped" for state in welcomes) <= MOST_A_DAY
    assert ("skipped", "repeated") in [(state, reason) for _number, state, reason in handsets.texts("welcome")]
    assert handsets.standing(NUMBER) == ("P-0", False, False), "every one of them counts all the same"


def test_two_webhooks_at_one_moment_are_not_both_answered(app: Flask, short_code: int) -> None:
    answered: list[str | None] = []
    begin = threading.Barrier(2)

    def hear() -> None:
        with app.app_context():
            for place in range(10):
                begin.wait(30)
                answered.append(handsets.says("HELP", world.number(place), short_code, To=TO))

    threads = [threading.Thread(target=hear) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answered) == 20
    assert sum(answer is not None for answer in answered) == 10


@pytest.mark.one_engine
@pytest.mark.parametrize(
    ("said", "sender", "why"),
    [
        (["HELP", "HELP"], TO, "less than 10 minutes before"),
        (["STOP", "QUIT"], TO, "was opted out already"),
        (["HELP"], "+12025550100", "the gateway answers this word by itself"),
    ],
)
def test_an_administrator_can_see_why_no_answer_was_given(
    said: list[str], sender: str, why: str, short_code: int
) -> None:
    world.open_gateway(SmsGatewaySettings=f'{{"FromNumber": "{sender}"}}')
    answers(said, 1_000, short_code)
    db.session.remove()
    told = [item.told for item in story(NUMBER) if item.told]
    assert any(why in remark for remark in told[-1].remarks)
    assert set(told[-1].remarks) <= set(told[-1].notes)


def test_the_clock_put_back_answers_no_more_than_before() -> None:
    assert why_not_again([5_000], 4_000) == "repeated"
    assert why_not_again([], 4_000) == ""

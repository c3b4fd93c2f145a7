"""Refusals and ordinary replies as people write them, and how many of each are read as what they are.

The sets whose names end in “later” were written after the rules, the last part of them by somebody who had not seen
the rules. A line break in a reply is written
as backslash n.
"""

import time
from pathlib import Path

import pytest

from portal.domain.replies import read
from portal.domain.tapbacks import is_tapback

DATA = Path(__file__).parents[1] / "data"
SETS = [("refusals", "ordinary"), ("refusals_later", "ordinary_later")]
LEAST_RECALL, MOST_FALSE_STOPS = 0.99, 0.005


def replies(name: str) -> list[str]:
    lines = (DATA / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return [line.replace("\\n", "\n") for line in lines if line and not line.startswith("#")]


def test_the_sets_are_as_large_as_the_figures_need() -> None:
    assert len(replies("refusals")) >= 300
    assert len(replies("ordinary")) >= 2_000
    for name in (name for pair in SETS for name in pair):
        assert len(set(replies(name))) == len(replies(name)), f"{name} counts a reply twice"


@pytest.mark.parametrize(("refusals", "ordinary"), SETS)
def test_refusals_are_found_and_ordinary_replies_left_alone(
    refusals: str, ordinary: str, record_property: object, capsys: pytest.CaptureFixture[str]
) -> None:
    missed = [body for body in replies(refusals) if read(body).word != "stop"]
    stopped = [body for body in replies(ordinary) if read(body).word == "stop"]
    recall, false_stops = 1 - len(missed) / len(replies(refusals)), len(stopped) / len(replies(ordinary))
    with capsys.disabled():
        print(
            f"\n{len(replies(refusals))} refusals, {recall:.2%} found;"
            f" {len(replies(ordinary)):,} ordinary replies, {false_stops:.2%} taken for STOP"
        )
    assert recall >= LEAST_RECALL, missed
    assert false_stops <= MOST_FALSE_STOPS, stopped


def test_no_ordinary_reply_starts_texts_by_itself() -> None:
    started = [body for _refusals, name in SETS for body in replies(name) if read(body).word == "start"]
    assert {body.strip(" !").upper() for body in started} <= {"YES", "START", "UNSTOP"}


QUOTED = ["STOP", "Start", "Your renewal is due", "one line\nand STOP", "", "He said “stop” twice"]
AROUND = """
Liked “{}”
Liked "{}"
Loved “{}”
Disliked “{}”
Laughed at “{}”
Emphasized “{}”
Questioned “{}”
Removed a like from “{}”
Removed an exclamation from “{}”
Reacted 👍🏽 to “{}”
Reacted with 🎉 to "{}"
Removed 👍 from “{}”
👍 to “{}”
\u200a❤️\u200b to “ {} ”
👍🏿 a "{}"
😂 à « {} »
Le gustó “{}”
No le gustó “{}”
Le encantó “{}”
Se rio de “{}”
Enfatizó “{}”
Reaccionó con 👍 a “{}”
Quitó un “Me gusta” de “{}”
A aimé « {} »
N’a pas aimé « {} »
A adoré “{}”
A ri à « {} »
A réagi par 👍 à « {} »
A supprimé un « J’aime » de « {} »
""".strip().splitlines()


@pytest.mark.parametrize("around", AROUND)
def test_a_tapback_says_nothing_whatever_it_quotes(around: str) -> None:
    for quoted in QUOTED:
        assert read(around.format(quoted)).word == "tapback"


@pytest.mark.parametrize(
    "body", ["Liked an image", "Loved a photo", "Le gustó una imagen", "A aimé une photo", "Questioned “STOP and some…"]
)
def test_a_tapback_may_be_about_a_picture_or_cut_off(body: str) -> None:
    assert is_tapback(body)


@pytest.mark.parametrize(
    "body",
    [
        "I liked it",
        "Liked",
        "liked “it” please stop",
        "“STOP”",
        "loved the class",
        "👍",
        "👍 to everyone",
        "he said “stop”",
    ],
)
def test_what_only_looks_like_a_tapback_is_read_as_usual(body: str) -> None:
    assert not is_tapback(body)


def test_a_text_made_to_be_slow_is_read_at_once() -> None:
    began = time.process_time()
    for body in (
        "stop no " * 25,
        "not " * 50,
        "take " * 40,
        'removed a "' * 6_000,
        "👍 to “" * 9_000,
        "i want to " * 20,
    ):
        read(body)
    assert time.process_time() - began < 1


ENDS = ["stop", "cancel", "end", "quit", "remove", "delete", "terminate", "discontinue"]
THINGS = [
    "appointment",
    "exam on Friday",
    "late fee",
    "maiden name",
    "auto renewal",
    "license",
    "account",
    "application",
]
ORDERS = [
    "please {} my {}",
    "{} the {}",
    "I need to {} the {}",
    "could you {} my {}?",
    "don't {} my {}",
    "Hi, {} my {}. Thanks",
]


def test_what_ends_something_else_than_the_texts_is_no_refusal() -> None:
    said = [order.format(end, thing) for order in ORDERS for end in ENDS for thing in THINGS]
    assert [body for body in said if read(body).word == "stop"] == []


TEXTS = ["texts", "these messages", "sms", "your text messages", "notifications", "alerts"]
WISHES = ["I don't want {}", "no more {} please", "stop all {}!", "don't send me {}", "too many {} stop", "turn off {}"]


def test_what_ends_the_texts_is_a_refusal_whatever_they_are_called() -> None:
    said = [wish.format(texts) for wish in WISHES for texts in TEXTS]
    assert [body for body in said if read(body).word != "stop"] == []

"""Opt-outs and ordinary replies as people write them, and how many of each are classified correctly.

The holdout sets were written after the rules, their last part by somebody who had not seen the rules. A line break in
a reply is written as backslash n.
"""

import time
from pathlib import Path

import pytest

from portal.consent.rules.keywords import classify_reply
from portal.consent.rules.tapbacks import is_tapback

DATA = Path(__file__).parent / "replies"
REPLY_SETS = [("opt_out", "ordinary"), ("opt_out_holdout", "ordinary_holdout")]
MIN_RECALL, MAX_FALSE_STOPS = 0.99, 0.005


def load_replies(name: str) -> list[str]:
    lines = (DATA / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return [line.replace("\\n", "\n") for line in lines if line and not line.startswith("#")]


def test_reply_sets_are_large_enough_and_have_no_duplicates() -> None:
    assert len(load_replies("opt_out")) >= 300
    assert len(load_replies("ordinary")) >= 2_000
    for name in (name for pair in REPLY_SETS for name in pair):
        assert len(set(load_replies(name))) == len(load_replies(name)), f"{name} counts a reply twice"


@pytest.mark.parametrize(("opt_outs", "ordinary"), REPLY_SETS)
def test_opt_outs_are_detected_and_other_replies_are_not(
    opt_outs: str, ordinary: str, record_property: object, capsys: pytest.CaptureFixture[str]
) -> None:
    missed = [body for body in load_replies(opt_outs) if classify_reply(body).category != "stop"]
    stopped = [body for body in load_replies(ordinary) if classify_reply(body).category == "stop"]
    recall, false_stops = 1 - len(missed) / len(load_replies(opt_outs)), len(stopped) / len(load_replies(ordinary))
    with capsys.disabled():
        print(
            f"\n{len(load_replies(opt_outs))} opt-outs, {recall:.2%} detected;"
            f" {len(load_replies(ordinary)):,} ordinary replies, {false_stops:.2%} read as STOP"
        )
    assert recall >= MIN_RECALL, missed
    assert false_stops <= MAX_FALSE_STOPS, stopped


def test_no_ordinary_reply_counts_as_start() -> None:
    started = [
        body
        for _opt_outs, name in REPLY_SETS
        for body in load_replies(name)
        if classify_reply(body).category == "start"
    ]
    assert {body.strip(" !").upper() for body in started} <= {"YES", "START", "UNSTOP"}


QUOTED_TEXTS = ["STOP", "Start", "Your renewal is due", "one line\nand STOP", "", "He said “stop” twice"]
REACTION_FORMATS = """
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


@pytest.mark.parametrize("reaction", REACTION_FORMATS)
def test_tapback_is_ignored_whatever_it_quotes(reaction: str) -> None:
    for quoted in QUOTED_TEXTS:
        assert classify_reply(reaction.format(quoted)).category == "tapback"


@pytest.mark.parametrize(
    "body", ["Liked an image", "Loved a photo", "Le gustó una imagen", "A aimé une photo", "Questioned “STOP and some…"]
)
def test_tapback_may_quote_a_picture_or_be_cut_off(body: str) -> None:
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
def test_text_resembling_a_tapback_is_classified_normally(body: str) -> None:
    assert not is_tapback(body)


def test_adversarial_text_is_classified_quickly() -> None:
    began = time.process_time()
    for body in (
        "stop no " * 25,
        "not " * 50,
        "take " * 40,
        'removed a "' * 6_000,
        "👍 to “" * 9_000,
        "i want to " * 20,
    ):
        classify_reply(body)
    assert time.process_time() - began < 1


END_VERBS = ["stop", "cancel", "end", "quit", "remove", "delete", "terminate", "discontinue"]
OTHER_THINGS = [
    "appointment",
    "exam on Friday",
    "late fee",
    "maiden name",
    "auto renewal",
    "license",
    "account",
    "application",
]
OTHER_COMMANDS = [
    "please {} my {}",
    "{} the {}",
    "I need to {} the {}",
    "could you {} my {}?",
    "don't {} my {}",
    "Hi, {} my {}. Thanks",
]


def test_ending_something_else_is_not_an_opt_out() -> None:
    bodies = [command.format(verb, thing) for command in OTHER_COMMANDS for verb in END_VERBS for thing in OTHER_THINGS]
    assert [body for body in bodies if classify_reply(body).category == "stop"] == []


MESSAGE_WORDS = ["texts", "these messages", "sms", "your text messages", "notifications", "alerts"]
OPT_OUT_FORMATS = [
    "I don't want {}",
    "no more {} please",
    "stop all {}!",
    "don't send me {}",
    "too many {} stop",
    "turn off {}",
]


def test_opt_out_is_detected_whatever_texts_are_called() -> None:
    bodies = [opt_out.format(texts) for opt_out in OPT_OUT_FORMATS for texts in MESSAGE_WORDS]
    assert [body for body in bodies if classify_reply(body).category != "stop"] == []

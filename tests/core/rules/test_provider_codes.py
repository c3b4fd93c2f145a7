import pytest

from portal.gateways.rules.provider_codes import CODES, OPTED_OUT, ResendAdvice, RetryPolicy, explain_error_code


def test_a_known_code_speaks_with_our_words_and_says_what_to_do() -> None:
    found = explain_error_code("30005", "Unknown destination handset")
    assert found.sentence == "The number is unknown or no longer in use."
    assert found.remedy == "Ask the person to check the number on their account. Sending it again does not help."


def test_an_unknown_code_speaks_with_the_providers_words_and_is_permanent() -> None:
    found = explain_error_code("39999", " Something quite new happened. ")
    assert found.sentence == "Something quite new happened."
    assert found.retry_policy is RetryPolicy.NEVER
    assert "39999" in found.remedy


@pytest.mark.parametrize("message", ["", "   "])
def test_an_unknown_code_without_words_says_so(words: str) -> None:
    found = explain_error_code("39999", words)
    assert found.sentence == "Twilio gave no explanation."
    assert found.retry_policy is RetryPolicy.NEVER


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("20003", RetryPolicy.PAUSE),
        ("21606", RetryPolicy.PAUSE),
        ("20429", RetryPolicy.LATER),
        ("21611", RetryPolicy.LATER),
        ("21211", RetryPolicy.NEVER),
        (OPTED_OUT, RetryPolicy.NEVER),
        ("30003", RetryPolicy.NEVER),
        ("30007", RetryPolicy.NEVER),
        *((code, RetryPolicy.PAUSE) for code in ("30002", "30032", "30034")),
        *((code, RetryPolicy.NEVER) for code in ("21408", "21608", "30001", "30008", "30017")),
    ],
)
def test_a_code_says_whether_to_try_again(code: str, advice: RetryPolicy) -> None:
    assert explain_error_code(code).retry_policy is advice


_AGAIN = {
    ResendAdvice.NO: "11200 11205 12200 12300 21211 21266 21602 21603 21604 21610 21612 21614 21619 21635 30004 30005 30006"
    " 30007 30640",
    ResendAdvice.ONCE: "30003 30008",
    ResendAdvice.LATER: "30001 30017 30022 30023 30024 30025 30026 30027 30035 30036 30410 30450 30610 63038",
    ResendAdvice.AFTER_FIX: "21408 21608 21617 21658 30002 30032 30034",
    ResendAdvice.ON_RESUME: "20003 20404 21212 21601 21606 21609 21659 21661 21701 21703 21704 21705",
    ResendAdvice.AUTOMATIC: "20429 21611",
}
"""What Twilio's own pages and this product's experience say of sending again, code by code."""


@pytest.mark.parametrize(("code", "again"), [(code, again) for again in _AGAIN for code in _AGAIN[again].split()])
def test_a_code_says_whether_sending_again_makes_sense(code: str, again: ResendAdvice) -> None:
    found = explain_error_code(code)
    assert found.resend_advice is again
    assert found.remedy.endswith(again.value)
    assert "Look up" not in found.remedy


def test_only_what_was_not_accepted_is_said_to_be_tried_again_by_itself() -> None:
    assert [code for code, found in CODES.items() if found.resend_advice is ResendAdvice.AUTOMATIC] == [
        "20429",
        "21611",
    ]
    assert all(
        (found.resend_advice is ResendAdvice.AUTOMATIC) == (found.retry_policy is RetryPolicy.LATER)
        for found in CODES.values()
    )


@pytest.mark.parametrize("code", ["21408", "21608"])
def test_a_fault_of_one_destination_says_that_others_go_on(code: str) -> None:
    assert "go on" in explain_error_code(code).sentence


def test_every_code_of_the_table_stands_once_under_its_own_number_with_whole_sentences() -> None:
    for code, entry in CODES.items():
        assert code == entry.code
        assert code.isdigit()
        assert entry.sentence.endswith(".")
        assert entry.remedy.endswith(".")

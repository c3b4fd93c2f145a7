import pytest

from portal.gateways.rules.provider_codes import CODES, OPTED_OUT, ResendAdvice, RetryPolicy, explain_error_code


def test_known_code_has_our_sentence_and_remedy() -> None:
    explanation = explain_error_code("30005", "Unknown destination handset")
    assert explanation.sentence == "The number is unknown or no longer in use."
    assert explanation.remedy == "Ask the person to check the number on their account. Sending it again will not help."


def test_unknown_code_has_the_providers_message() -> None:
    explanation = explain_error_code("39999", " Something new happened. ")
    assert explanation.sentence == "Something new happened."
    assert explanation.retry_policy is RetryPolicy.NEVER
    assert "39999" in explanation.remedy


@pytest.mark.parametrize("message", ["", "   "])
def test_unknown_code_without_a_message_says_so(message: str) -> None:
    explanation = explain_error_code("39999", message)
    assert explanation.sentence == "Twilio gave no explanation."
    assert explanation.retry_policy is RetryPolicy.NEVER


@pytest.mark.parametrize(
    ("code", "policy"),
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
def test_code_determines_the_retry_policy(code: str, policy: RetryPolicy) -> None:
    assert explain_error_code(code).retry_policy is policy


_RESEND_ADVICE = {
    ResendAdvice.NO: "11200 11205 12200 12300 21211 21266 21602 21603 21604 21610 21612 21614 21619 21635"
    " 30004 30005 30006 30007 30640",
    ResendAdvice.ONCE: "30003 30008",
    ResendAdvice.LATER: "30001 30017 30022 30023 30024 30025 30026 30027 30035 30036 30410 30450 30610 63038",
    ResendAdvice.AFTER_FIX: "21408 21608 21617 21658 30002 30032 30034",
    ResendAdvice.ON_RESUME: "20003 20404 21212 21601 21606 21609 21659 21661 21701 21703 21704 21705",
    ResendAdvice.AUTOMATIC: "20429 21611",
}
"""Whether resending helps, by code, according to Twilio's error pages and to experience."""


@pytest.mark.parametrize(
    ("code", "advice"), [(code, advice) for advice, codes in _RESEND_ADVICE.items() for code in codes.split()]
)
def test_code_determines_the_resend_advice(code: str, advice: ResendAdvice) -> None:
    explanation = explain_error_code(code)
    assert explanation.resend_advice is advice
    assert explanation.remedy.endswith(advice.value)
    assert "Look up" not in explanation.remedy


def test_only_codes_for_unaccepted_texts_are_retried() -> None:
    automatic = [code for code, entry in CODES.items() if entry.resend_advice is ResendAdvice.AUTOMATIC]
    assert automatic == ["20429", "21611"]
    assert automatic == [code for code, entry in CODES.items() if entry.retry_policy is RetryPolicy.LATER]


@pytest.mark.parametrize("code", ["21408", "21608"])
def test_fault_of_one_destination_says_other_texts_continue(code: str) -> None:
    assert "are still sent" in explain_error_code(code).sentence


def test_table_entries_have_their_own_code_and_full_sentences() -> None:
    for code, entry in CODES.items():
        assert code == entry.code
        assert code.isdigit()
        assert entry.sentence.endswith(".")
        assert entry.remedy.endswith(".")


DOCUMENTED_REJECTIONS = (
    "30441 30442 30444 30447 30451 30460 30464 30466 30467 30480 30481 30482 30483 30484 30485 30486 30487 30488"
    " 30497 30501 30511 30513 30527 30532 30533 30534 30537 30538 30540 30543 30544 30545 30551 30558 30560 30562 30566"
    " 30567 30569 30570 30702 30709 30714 30729 30751 30790 30791 30792 30798 30799 30807 30825 30826 30831 30836 30837"
    " 30841 30842 30863 30873 30878 30879 30880 30881 30882 30883 30884 30885 30886 30888 30889 30892 30893 30894 30896"
    " 30898 30899 30900 30901 30902 30904 30905 30909 30910 30914 30915 30925 30930 30932 30950 30964 30993"
)
"""Of brands, campaigns and toll-free verifications, from Twilio's error pages."""


@pytest.mark.parametrize("code", DOCUMENTED_REJECTIONS.split())
def test_rejected_registration_has_words_and_a_remedy(code: str) -> None:
    entry = explain_error_code(code)
    assert code in CODES
    assert entry.sentence.endswith(".")
    assert entry.fix.endswith(".")
    assert not entry.is_documented, "no text is given up for it"


@pytest.mark.parametrize("code", ["30499", "30599", "30777", "30850", "30999"])
def test_rejection_that_twilio_adds_has_words_and_a_remedy(code: str) -> None:
    entry = explain_error_code(code)
    assert code not in CODES
    assert "rejected" in entry.sentence or "failed" in entry.sentence
    assert entry.fix
    assert not entry.is_documented, "no text is given up for it"

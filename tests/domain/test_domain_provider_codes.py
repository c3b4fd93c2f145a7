import pytest

from portal.domain.provider_codes import CODES, OPTED_OUT, Advice, explain


def test_a_known_code_speaks_with_our_words_and_says_what_to_do() -> None:
    found = explain("30005", "Unknown destination handset")
    assert found.sentence == "The number is unknown or no longer in use."
    assert found.remedy == "Ask the person to check the number on their account."


def test_an_unknown_code_speaks_with_the_providers_words_and_is_permanent() -> None:
    found = explain("39999", " Something quite new happened. ")
    assert found.sentence == "Something quite new happened."
    assert found.advice is Advice.NEVER
    assert "39999" in found.remedy


@pytest.mark.parametrize("words", ["", "   "])
def test_an_unknown_code_without_words_says_so(words: str) -> None:
    found = explain("39999", words)
    assert found.sentence == "Twilio gave no explanation."
    assert found.advice is Advice.NEVER


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("20003", Advice.PAUSE),
        ("21606", Advice.PAUSE),
        ("20429", Advice.LATER),
        ("21611", Advice.LATER),
        ("21211", Advice.NEVER),
        (OPTED_OUT, Advice.NEVER),
        ("30003", Advice.NEVER),
        ("30007", Advice.NEVER),
    ],
)
def test_a_code_says_whether_to_try_again(code: str, advice: Advice) -> None:
    assert explain(code).advice is advice


def test_every_code_of_the_table_stands_once_under_its_own_number_with_whole_sentences() -> None:
    for code, entry in CODES.items():
        assert code == entry.code
        assert code.isdigit()
        assert entry.sentence.endswith(".")
        assert entry.remedy.endswith(".")

import pytest

from portal.content.rules.template_tags import parse_tags, tags_problem


@pytest.mark.parametrize(
    ("typed", "tags"),
    [
        ("", []),
        (" , ,", []),
        ("Renewals, exams", ["Renewals", "exams"]),
        ("Exams,exams , EXAMS", ["Exams"]),
        ("two  words,\u200bhidden", ["two words", "hidden"]),
    ],
)
def test_tags_are_separated_by_commas_and_kept_once(typed: str, tags: list[str]) -> None:
    assert parse_tags(typed) == tags


def test_too_many_or_too_long_tags_are_explained() -> None:
    assert tags_problem(",".join("abcdefghij")) is None
    assert "Use 10 tags or fewer. You have used 11." in str(tags_problem(",".join("abcdefghijk")))
    assert "Shorten the tag" in str(tags_problem("x" * 41))

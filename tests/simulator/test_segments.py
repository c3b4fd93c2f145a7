import pytest

from simulator.messages.segments import count_segments, is_gsm7


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("a" * 152 + "€" + "a" * 10, 2),
        ("€" * 153, 3),  # 76 per segment: an escaped character is never split
        ("é" * 160, 1),
        ("ê" * 70, 1),
        ("ê" * 71, 2),
        ("ê" * 134, 2),
        ("ê" * 135, 3),
        ("😀" * 35, 1),
        ("😀" * 36, 2),
        ("😀" * 67, 3),  # 33 per segment: a surrogate pair is never split
        ("a" * 159 + "’", 3),
    ],
)
def test_segments_are_counted_as_carriers_do(text: str, segments: int) -> None:
    assert count_segments(text) == segments


def test_a_curly_quote_is_not_in_the_gsm_alphabet() -> None:
    assert is_gsm7("It's [50] €")
    assert not is_gsm7("It’s")

import random
import re
from pathlib import Path

import pytest

from portal.settings.rules import accent_color
from portal.settings.rules.accent_color import AccentColorError, build_accent, contrast_ratio, parse_color

TOKENS = (Path(__file__).parents[3] / "portal/static/tokens.css").read_text("utf-8")
COLORS = [f"#{random.Random(seed).randrange(2**24):06x}" for seed in range(400)] + ["#000000", "#ffffff", "#0000ff"]


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [("#000000", "#ffffff", 21), ("#777777", "#ffffff", 4.48), ("#ff0000", "#ffffff", 4.0), ("#123456", "#123456", 1)],
)
def test_contrast_ratio_follows_wcag(one: str, other: str, ratio: float) -> None:
    assert contrast_ratio(one, other) == contrast_ratio(other, one) == pytest.approx(ratio, abs=0.005)


@pytest.mark.parametrize("text", ["#14609C", " 14609c ", "#14609c"])
def test_color_is_stored_in_one_form(text: str) -> None:
    assert parse_color(text) == "#14609c"


def test_short_color_is_written_out() -> None:
    assert parse_color("#1Ac") == "#11aacc"


@pytest.mark.parametrize("text", ["blue", "#12345", "#1234567", "rgb(1,2,3)", "#12 345", "#14609c;}", "#１２３４５６"])
def test_anything_but_a_hex_color_is_refused(text: str) -> None:
    with pytest.raises(AccentColorError, match="such as #14609c"):
        parse_color(text)


def test_refusal_names_ratio_and_nearest_color() -> None:
    with pytest.raises(AccentColorError) as refused:
        build_accent("#ffcc00")
    assert "1.4:1" in str(refused.value)
    assert "4.5:1" in str(refused.value)
    nearest = re.findall("#[0-9a-f]{6}", str(refused.value))[-1]
    assert build_accent(nearest).light.accent == nearest


def test_refused_ratio_never_reads_as_enough() -> None:
    """#737373 has 4.42:1 with surfaces, and would round up."""
    messages = []
    for gray in range(0x6E, 0x7C):
        try:
            build_accent(f"#{gray:02x}{gray:02x}{gray:02x}")
        except AccentColorError as error:
            messages.append(str(error))
    assert messages
    assert not [message for message in messages if "is 4.5:1" in message]


@pytest.mark.parametrize("color", COLORS)
def test_text_can_be_read_in_both_looks(color: str) -> None:
    """A refused color is replaced with the one that the refusal recommends."""
    try:
        accent = build_accent(color)
    except AccentColorError as error:
        accent = build_accent(re.findall("#[0-9a-f]{6}", str(error))[-1])
    light, dark = accent.light, accent.dark
    pairs = [(light.accent, back) for back in ("#ffffff", "#f6f7f8", light.tint)]
    pairs += [(dark.accent, back) for back in ("#15181c", "#1c2025", "#22272d", dark.tint)]
    pairs += [(look, "#ffffff") for look in (light.accent, light.strong)]
    pairs += [(look, "#0c1d2c") for look in (dark.accent, dark.strong)]
    assert min(contrast_ratio(*pair) for pair in pairs) >= 4.5


def test_rules_know_the_backgrounds_of_the_pages() -> None:
    def token(name: str) -> tuple[str, ...]:
        return re.findall(rf"--{name}: light-dark\((#\w+), (#\w+)\)", TOKENS)[0]  # type: ignore[no-any-return]

    backgrounds = [token(name) for name in ("page", "surface", "raised")]
    assert {light for light, _ in backgrounds} == set(accent_color.LIGHT_BACKGROUNDS)
    assert {dark for _, dark in backgrounds} == set(accent_color.DARK_BACKGROUNDS)
    assert token("on-accent") == (accent_color.LIGHT_BUTTON_TEXT, accent_color.DARK_BUTTON_TEXT)


def test_stylesheet_overrides_tokens_that_exist() -> None:
    names = re.findall(r"(--[\w-]+):light-dark\(#\w{6},#\w{6}\);", build_accent("#5b2c83").stylesheet)
    assert len(names) == 3
    assert all(f"  {name}: " in TOKENS for name in names)

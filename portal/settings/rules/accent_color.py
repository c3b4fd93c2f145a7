"""The accent color: whether text can be read on it and in it (WCAG 2.2, 1.4.3), and its shades in both looks."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from portal.core.translation import gettext as _

MIN_CONTRAST = 4.5
LIGHT_BACKGROUNDS = ("#ffffff", "#f6f7f8")
DARK_BACKGROUNDS = ("#15181c", "#1c2025", "#22272d")
"""What links stand on: the page, surfaces and cards, as in `portal/static/tokens.css`."""
LIGHT_BUTTON_TEXT, DARK_BUTTON_TEXT = "#ffffff", "#0c1d2c"
_BLACK, _WHITE = "#000000", "#ffffff"
_LIGHT_TINT_PERCENT, _DARK_TINT_PERCENT, _STRONG_PERCENT = 10, 20, 25
_SHORT, _LONG = re.compile(r"#?([0-9a-f])([0-9a-f])([0-9a-f])"), re.compile(r"#?([0-9a-f]{6})")


class AccentColorError(ValueError):
    """The color cannot be used; the message says why, and what to enter instead."""


@dataclass(frozen=True)
class Look:
    """The colors of one look: `strong` is the accent under the pointer, `tint` is behind what is selected."""

    accent: str
    strong: str
    tint: str
    contrast: float


@dataclass(frozen=True)
class Accent:
    light: Look
    dark: Look

    @property
    def stylesheet(self) -> str:
        """Overrides the tokens of the accent in `portal/static/tokens.css`."""
        tokens = {"--accent": "accent", "--accent-strong": "strong", "--accent-back": "tint"}
        pairs = ((token, getattr(self.light, name), getattr(self.dark, name)) for token, name in tokens.items())
        return ":root{" + "".join(f"{token}:light-dark({light},{dark});" for token, light, dark in pairs) + "}"


def parse_color(text: str) -> str:
    """The color as # and six digits in lower case. Raises `AccentColorError`."""
    text = text.strip().lower()
    if match := _LONG.fullmatch(text):
        return f"#{match[1]}"
    if match := _SHORT.fullmatch(text):
        return "#" + "".join(digit * 2 for digit in match.groups())
    raise AccentColorError(_("Enter the color as # and six digits or letters from A to F, such as #14609c."))


def build_accent(color: str) -> Accent:
    """The light look has the color itself, the dark look a lighter one. Raises `AccentColorError`."""
    worst = _worst_contrast(color, (*LIGHT_BACKGROUNDS, LIGHT_BUTTON_TEXT))
    if worst < MIN_CONTRAST:
        nearest = _nearest_readable(color, _BLACK, LIGHT_BACKGROUNDS, LIGHT_BUTTON_TEXT)
        raise AccentColorError(
            _(
                "%(color)s is too light: its contrast with white text and with the light pages is %(contrast)s:1, and "
                "text needs at least %(needed)s:1. The nearest color that works is %(nearest)s.",
                color=color,
                contrast=_display(worst),
                needed=MIN_CONTRAST,
                nearest=nearest,
            )
        )
    lighter = _nearest_readable(color, _WHITE, DARK_BACKGROUNDS, DARK_BUTTON_TEXT)
    return Accent(
        _look(color, _BLACK, LIGHT_BACKGROUNDS, _LIGHT_TINT_PERCENT),
        _look(lighter, _WHITE, DARK_BACKGROUNDS, _DARK_TINT_PERCENT),
    )


def contrast_ratio(one: str, other: str) -> float:
    """From 1 to 21 (WCAG 2.2, contrast ratio)."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def mix(color: str, other: str, percent: int) -> str:
    """`color` with so many percent of the `other`."""
    parts = zip(_channels(color), _channels(other), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * percent / 100):02x}" for a, b in parts)


def _look(accent: str, toward: str, backgrounds: Sequence[str], tint_percent: int) -> Look:
    tints = (mix(backgrounds[0], accent, percent) for percent in range(tint_percent, -1, -1))
    tint = next(tint for tint in tints if contrast_ratio(accent, tint) >= MIN_CONTRAST)
    return Look(accent, mix(accent, toward, _STRONG_PERCENT), tint, _worst_contrast(accent, backgrounds))


def _nearest_readable(color: str, toward: str, backgrounds: Sequence[str], button_text: str) -> str:
    """The first mix with black or white that can be read; black and white themselves can."""
    mixes = (mix(color, toward, percent) for percent in range(101))
    return next(mixed for mixed in mixes if _worst_contrast(mixed, (*backgrounds, button_text)) >= MIN_CONTRAST)


def _worst_contrast(color: str, others: Sequence[str]) -> float:
    return min(contrast_ratio(color, other) for other in others)


def _display(ratio: float) -> str:
    """Rounded down, so that what is refused never reads 4.5."""
    return f"{int(ratio * 100) / 100:g}"


def _luminance(color: str) -> float:
    """WCAG 2.2, relative luminance."""
    shares = (channel / 255 for channel in _channels(color))
    red, green, blue = (share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _channels(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)

"""Which browser and system a user agent names, in words that its owner recognizes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from portal.core.translation import gettext as _

_Patterns = Sequence[tuple[str, str]]
_BROWSERS: _Patterns = (
    ("Edge", r"Edg(e|A|iOS)?/"),
    ("Opera", r"OPR/|Opera"),
    ("Samsung Internet", r"SamsungBrowser/"),
    ("Firefox", r"Firefox/|FxiOS/"),
    ("Chrome", r"Chrome/|CriOS/|Chromium/"),
    ("Safari", r"Version/[\d.]+ .*Safari/"),
)
"""In this order: most name Chrome or Safari too, for the sake of old pages."""
_SYSTEMS: _Patterns = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("ChromeOS", "CrOS"),
    ("Windows", "Windows"),
    ("macOS", "Mac OS X|Macintosh"),
    ("Linux", "Linux|X11"),
)


@dataclass(frozen=True)
class Device:
    """ "" for what the user agent does not tell."""

    browser: str = ""
    system: str = ""

    @property
    def name(self) -> str:
        """The same in every language; "" if nothing is known."""
        return f"{self.browser} ({self.system})" if self.browser and self.system else self.browser or self.system

    @property
    def label(self) -> str:
        if self.browser and self.system:
            return _("%(browser)s on %(system)s", browser=self.browser, system=self.system)
        return self.browser or self.system or _("Unknown device")


def device_of(user_agent: str) -> Device:
    return Device(_first_match(_BROWSERS, user_agent), _first_match(_SYSTEMS, user_agent))


def _first_match(patterns: _Patterns, user_agent: str) -> str:
    return next((name for name, pattern in patterns if re.search(pattern, user_agent)), "")

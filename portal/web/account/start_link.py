"""START by one tap: a link that opens a new text on this device, and a QR code that does so on another."""

from dataclasses import dataclass

import segno
from markupsafe import Markup

_QUIET_ZONE = 4
"""Modules of light around the code, as its standard asks for."""


@dataclass(frozen=True)
class StartLink:
    """`number` is the one in E.164 to text START to."""

    number: str

    @property
    def address(self) -> str:
        """iOS expects “&” before the body, Android “?”; both read this."""
        return f"sms:{self.number}?&body=START"

    def qr_code(self, title: str) -> Markup:
        """As SVG. Dark on light in every color scheme, since many readers need that."""
        code = segno.make_qr(f"SMSTO:{self.number}:START")
        svg = code.svg_inline(scale=4, border=_QUIET_ZONE, dark="#000", light="#fff")
        opening = Markup('<svg role="img" aria-label="{}" ').format(title)
        return opening + Markup(svg.removeprefix("<svg "))  # noqa: S704  segno's own, of a number in E.164

"""QR codes, as SVG within a page."""

import segno
from markupsafe import Markup

_QUIET_ZONE = 4
"""Modules of light around the code, as its standard asks for."""


def qr_code_svg(text: str, title: str) -> Markup:
    """Dark on light in every color scheme, since many readers need that."""
    svg = segno.make_qr(text).svg_inline(scale=4, border=_QUIET_ZONE, dark="#000", light="#fff")
    opening = Markup('<svg role="img" aria-label="{}" ').format(title)
    return opening + Markup(svg.removeprefix("<svg "))  # noqa: S704  segno's own, which draws modules and no text

"""Which images may be a logo. The first bytes of a file say what it is; its name and what the browser says do not."""

import struct
from dataclasses import dataclass

from portal.core.translation import N_
from portal.core.translation import gettext as _

MAX_LOGO_BYTES, MAX_LOGO_PIXELS = 200 * 1024, 1200
FORMATS = {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WebP"}
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""JPEG segments that hold the size (ITU-T T.81, table B.1)."""
_DAMAGED = N_("The file is damaged: its size in pixels cannot be read. Save the image again and choose the new file.")


class LogoError(ValueError):
    """The file cannot be the logo; the message says why, and what to choose instead."""


@dataclass(frozen=True)
class LogoImage:
    content: bytes
    media_type: str
    width: int
    height: int

    @property
    def description(self) -> str:
        return f"{FORMATS[self.media_type]}, {self.width:,} × {self.height:,} pixels, {len(self.content):,} bytes"


def read_logo(content: bytes) -> LogoImage:
    """Raises `LogoError`."""
    if not content:
        raise LogoError(_("Choose a file."))
    if len(content) > MAX_LOGO_BYTES:
        raise LogoError(too_large_message())
    media_type = _media_type(content)
    try:
        width, height = {"image/png": _png_size, "image/jpeg": _jpeg_size, "image/webp": webp_size}[media_type](content)
    except (struct.error, IndexError) as error:
        raise LogoError(_(_DAMAGED)) from error
    if not width or not height:
        raise LogoError(_(_DAMAGED))
    if max(width, height) > MAX_LOGO_PIXELS:
        raise LogoError(
            _(
                "The image has %(width)s × %(height)s pixels, and each side may have at most %(limit)s. "
                "Save a smaller copy and choose that.",
                width=width,
                height=height,
                limit=MAX_LOGO_PIXELS,
            )
        )
    return LogoImage(content, media_type, width, height)


def too_large_message() -> str:
    limit = MAX_LOGO_BYTES // 1024
    return _("The file is larger than %(limit)s KB. Save a smaller copy of the image and choose that.", limit=limit)


def fit_size(width: int, height: int, max_width: int, max_height: int) -> tuple[int, int]:
    """The size at which the image fits; never larger than it is."""
    scale = min(1.0, max_width / width, max_height / height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _media_type(content: bytes) -> str:
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return "image/webp"
    if b"<svg" in content[:4096].lower():
        raise LogoError(_("SVG files are not accepted, because they may contain scripts. Save the image as PNG."))
    raise LogoError(_("The file is not a PNG, JPEG or WebP image, whatever its name says. Save the image as PNG."))


def _png_size(content: bytes) -> tuple[int, int]:
    width, height = struct.unpack(">4x2I", content[12:24])
    return width, height


def _jpeg_size(content: bytes) -> tuple[int, int]:
    """Walks the segments up to the one that holds the size."""
    offset = 2
    while True:
        marker, length = struct.unpack(">xBH", content[offset : offset + 4])
        if content[offset] != 0xFF:
            raise LogoError(_(_DAMAGED))
        if marker in _FRAME_MARKERS:
            height, width = struct.unpack(">2H", content[offset + 5 : offset + 9])
            return width, height
        offset += 1 if marker == 0xFF else 2 + length


def webp_size(content: bytes) -> tuple[int, int]:
    """The three kinds of WebP: lossy, lossless and extended (RFC 9649)."""
    kind = content[12:16]
    if kind == b"VP8 ":
        width, height = struct.unpack("<2H", content[26:30])
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L":
        (bits,) = struct.unpack("<I", content[21:25])
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8X" and len(content) >= 30:
        return int.from_bytes(content[24:27], "little") + 1, int.from_bytes(content[27:30], "little") + 1
    raise LogoError(_(_DAMAGED))

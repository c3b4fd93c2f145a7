"""Count the SMS segments of a text.

A text uses the GSM 7-bit default alphabet of 3GPP TS 23.038 if it can, otherwise UCS-2. See docs/twilio.md#segments.
"""

GSM_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM_EXTENDED = frozenset("^{}\\[~]|€\f")  # each takes a second septet for the escape

_GSM_SINGLE, _GSM_MULTIPART = 160, 153
_UCS2_SINGLE, _UCS2_MULTIPART = 70, 67


def is_gsm7(text: str) -> bool:
    return all(char in GSM_BASIC or char in GSM_EXTENDED for char in text)


def utf16_units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def count_segments(text: str) -> int:
    if is_gsm7(text):
        widths = [2 if char in GSM_EXTENDED else 1 for char in text]
        return _fill_segments(widths, _GSM_SINGLE, _GSM_MULTIPART)
    return _fill_segments([utf16_units(char) for char in text], _UCS2_SINGLE, _UCS2_MULTIPART)


def _fill_segments(widths: list[int], single: int, multipart: int) -> int:
    """Fill the segments one character at a time, because a two-unit character is never split across two segments."""
    if sum(widths) <= single:
        return 1
    segments, used = 1, 0
    for width in widths:
        if used + width > multipart:
            segments, used = segments + 1, 0
        used += width
    return segments

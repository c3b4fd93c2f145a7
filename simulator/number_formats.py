"""Phone numbers: validation, parsing and display."""

import re

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_NANP = re.compile(r"\+1[2-9][0-9]{2}[2-9][0-9]{6}")
_TOLL_FREE = re.compile(r"\+18(00|22|33|44|55|66|77|88)[0-9]{7}")
_FROM_NUMBER = re.compile(r"\+?[0-9]{3,15}")


def is_phone_number(text: str) -> bool:
    if text.startswith("+1"):
        return _NANP.fullmatch(text) is not None
    return _E164.fullmatch(text) is not None


def is_toll_free(text: str) -> bool:
    return _TOLL_FREE.fullmatch(text) is not None


def is_from_number(text: str) -> bool:
    """True for anything that can be a `From` number, including short codes."""
    return _FROM_NUMBER.fullmatch(text) is not None


def parse_phone_number(text: str) -> str | None:
    """Convert user input to E.164, or return None. Ten digits are a US number."""
    digits = re.sub(r"[\s().\-]", "", text)
    if re.fullmatch(r"[0-9]{10}", digits):
        digits = "+1" + digits
    elif re.fullmatch(r"1[0-9]{10}", digits):
        digits = "+" + digits
    return digits if is_phone_number(digits) else None


def format_phone_number(number: str) -> str:
    if _NANP.fullmatch(number):
        return f"({number[2:5]}) {number[5:8]}-{number[8:]}"
    return number

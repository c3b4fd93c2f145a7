"""What a text weighs and how it differs from its subject, in words for the shell."""

from portal.domain.sms import Fitted
from portal.domain.sms_plain import Change


def text_words(fitted: Fitted) -> str:
    weight = fitted.weight
    lines = [
        f"{weight.units} of {weight.units + weight.room} characters ({weight.encoding}), segments: {weight.segments}."
    ]
    if fitted.left_out:
        lines.append(f"Left out so that the words fit: {' '.join(fitted.left_out)}")
    if fitted.shortened:
        lines.append("The subject is shortened to fit.")
    if fitted.changes:
        changes = ", ".join(map(_change, fitted.changes))
        lines.append(f"In the text only, written in characters that take less room: {changes}.")
    if weight.costly:
        costly = " ".join(filter(str.isprintable, weight.costly))
        lines.append(f"Not in GSM-7, so that a segment holds 70 units instead of 160: {costly}")
    return "\n".join(lines)


def _change(change: Change) -> str:
    if change.plain.strip():
        return f"{change.shown} as {change.plain}"
    return f"{change.shown} as a blank" if change.plain else f"{change.shown} left out"

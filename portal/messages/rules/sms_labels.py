"""What a text weighs and how it differs from its subject, in words for the shell."""

from portal.messages.rules.sms_lookalikes import CharacterReplacement
from portal.messages.rules.sms_segments import FittedText


def describe_sms(fitted: FittedText) -> str:
    weight = fitted.size
    lines = [
        f"{weight.units} of {weight.units + weight.remaining_units} characters ({weight.encoding}), segments: {weight.segments}."
    ]
    if fitted.removed_emoji:
        lines.append(f"Left out so that the words fit: {' '.join(fitted.removed_emoji)}")
    if fitted.is_shortened:
        lines.append("The subject is shortened to fit.")
    if fitted.replacements:
        changes = ", ".join(map(_describe_replacement, fitted.replacements))
        lines.append(f"In the text only, written in characters that take less room: {changes}.")
    if weight.ucs2_characters:
        costly = " ".join(filter(str.isprintable, weight.ucs2_characters))
        lines.append(f"Not in GSM-7, so that a segment holds 70 units instead of 160: {costly}")
    return "\n".join(lines)


def _describe_replacement(change: CharacterReplacement) -> str:
    if change.replacement.strip():
        return f"{change.printable_form} as {change.replacement}"
    return f"{change.printable_form} as a blank" if change.replacement else f"{change.printable_form} left out"

"""Describe the size of a text, and how it differs from its subject, for the shell."""

from portal.messages.rules.sms_lookalikes import CharacterReplacement
from portal.messages.rules.sms_segments import FittedText


def describe_sms(fitted: FittedText) -> str:
    size = fitted.size
    limit = size.units + size.remaining_units
    lines = [f"{size.units} of {limit} characters ({size.encoding}), segments: {size.segments}."]
    if fitted.removed_emoji:
        lines.append(f"Emoji removed to make room for the words: {' '.join(fitted.removed_emoji)}")
    if fitted.removed_links:
        lines.append(f"Left out, because texts link to the portal alone: {' '.join(fitted.removed_links)}")
    if fitted.is_shortened:
        lines.append("The subject was shortened to fit.")
    if fitted.replacements:
        changes = ", ".join(map(_describe, fitted.replacements))
        lines.append(f"Replaced in the text to save space: {changes}.")
    if size.ucs2_characters:
        characters = " ".join(filter(str.isprintable, size.ucs2_characters))
        lines.append(f"Not in GSM-7, so a segment holds 70 units instead of 160: {characters}")
    return "\n".join(lines)


def _describe(change: CharacterReplacement) -> str:
    return f"{change.printable_form} → {change.replacement.strip() or ('space' if change.replacement else 'nothing')}"

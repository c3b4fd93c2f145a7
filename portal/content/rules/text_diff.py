"""Word-by-word differences between two texts."""

import re
from dataclasses import dataclass
from difflib import SequenceMatcher

_WORDS = re.compile(r"\n|\S+[^\S\n]*|[^\S\n]+")


@dataclass(frozen=True)
class DiffPart:
    """`kind` is `unchanged`, `removed` or `added`."""

    kind: str
    text: str


def diff_words(before: str, after: str) -> tuple[DiffPart, ...]:
    """The parts in order: without the added ones they are `before`, without the removed ones `after`."""
    old, new = _WORDS.findall(before), _WORDS.findall(after)
    parts: list[DiffPart] = []
    for tag, old_from, old_to, new_from, new_to in SequenceMatcher(None, old, new).get_opcodes():
        removed, added = "".join(old[old_from:old_to]), "".join(new[new_from:new_to])
        kinds = [("unchanged", added)] if tag == "equal" else [("removed", removed), ("added", added)]
        parts += [DiffPart(kind, text) for kind, text in kinds]
    return tuple(part for part in parts if part.text)

"""What changed from one text to another, word by word, to be read by a person."""

import re
from dataclasses import dataclass
from difflib import SequenceMatcher

_WORDS = re.compile(r"\n|\S+[^\S\n]*|[^\S\n]+")


@dataclass(frozen=True)
class DiffPart:
    """`kind` is `same`, `gone` or `new`."""

    kind: str
    text: str


def diff_words(before: str, after: str) -> tuple[DiffPart, ...]:
    """The pieces in order; without those that are new they read as `before`, without those gone as `after`."""
    old, new = _WORDS.findall(before), _WORDS.findall(after)
    pieces: list[DiffPart] = []
    for tag, old_from, old_to, new_from, new_to in SequenceMatcher(None, old, new).get_opcodes():
        if tag == "equal":
            pieces.append(DiffPart("unchanged", "".join(old[old_from:old_to])))
            continue
        pieces += _split_change("".join(old[old_from:old_to]), "".join(new[new_from:new_to]))
    return tuple(piece for piece in pieces if piece.text)


def _split_change(gone: str, new: str) -> list[DiffPart]:
    """The blank that follows both is no part of the change: underlined blanks are hard to read."""
    blank = new[len(new.rstrip()) :]
    if not gone.endswith(blank):
        return [DiffPart("removed", gone), DiffPart("added", new)]
    return [
        DiffPart("removed", gone.removesuffix(blank)),
        DiffPart("added", new.removesuffix(blank)),
        DiffPart("unchanged", blank),
    ]

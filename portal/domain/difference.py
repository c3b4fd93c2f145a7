"""What changed from one text to another, word by word, to be read by a person."""

import re
from dataclasses import dataclass
from difflib import SequenceMatcher

_WORDS = re.compile(r"\n|\S+[^\S\n]*|[^\S\n]+")


@dataclass(frozen=True)
class Piece:
    """`kind` is `same`, `gone` or `new`."""

    kind: str
    text: str


def between(before: str, after: str) -> tuple[Piece, ...]:
    """The pieces in order; without those that are new they read as `before`, without those gone as `after`."""
    old, new = _WORDS.findall(before), _WORDS.findall(after)
    pieces: list[Piece] = []
    for tag, old_from, old_to, new_from, new_to in SequenceMatcher(None, old, new).get_opcodes():
        if tag == "equal":
            pieces.append(Piece("same", "".join(old[old_from:old_to])))
            continue
        pieces += _change("".join(old[old_from:old_to]), "".join(new[new_from:new_to]))
    return tuple(piece for piece in pieces if piece.text)


def _change(gone: str, new: str) -> list[Piece]:
    """The blank that follows both is no part of the change: underlined blanks are hard to read."""
    blank = new[len(new.rstrip()) :]
    if not gone.endswith(blank):
        return [Piece("gone", gone), Piece("new", new)]
    return [Piece("gone", gone.removesuffix(blank)), Piece("new", new.removesuffix(blank)), Piece("same", blank)]

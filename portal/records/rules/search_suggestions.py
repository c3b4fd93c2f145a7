"""What to offer while a search line is typed: ways to complete its last word."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from portal.core.rules.case_folding import fold_for_search
from portal.records.rules.search_line import tokens, write_filter

MAX_SUGGESTIONS = 12


@dataclass(frozen=True)
class Suggestion:
    """A whole line, and what the completed part of it means."""

    line: str
    meaning: str


@dataclass(frozen=True)
class UnfinishedLine:
    """The end of a line that is still being typed: `part` of a word, or of the value of a filter."""

    kept: str
    prefix: str
    part: str

    def prefixes(self, meanings: Iterable[tuple[str, str]]) -> list[Suggestion]:
        """The filters that the word may become."""
        matches = [(f"{name}:", meaning) for name, meaning in meanings if name.startswith(self.part.casefold())]
        return [Suggestion(self.kept + text, meaning) for text, meaning in matches]

    def values(self, choices: Iterable[tuple[str, str]]) -> list[Suggestion]:
        """The values of the filter whose beginning, or whose meaning, has been typed."""
        part = fold_for_search(self.part)
        matches = [choice for choice in choices if _matches(part, *choice)][:MAX_SUGGESTIONS]
        return [Suggestion(self.kept + write_filter(self.prefix, value), meaning) for value, meaning in matches]


def _matches(part: str, value: str, meaning: str) -> bool:
    return fold_for_search(value).startswith(part) or part in fold_for_search(meaning)


def unfinished(line: str) -> UnfinishedLine:
    parts: Sequence[str] = [token.text for token in tokens(line)]
    if not parts or line[-1:].isspace():
        return UnfinishedLine(f"{line.strip()} ".lstrip(), "", "")
    last = tokens(line)[-1]
    return UnfinishedLine("".join(f"{text} " for text in parts[:-1]), last.prefix, last.value)

"""Render Markdown tokens as plain text, keeping lists, tables and links readable."""

import re
import unicodedata
from collections.abc import Iterable

from markdown_it.token import Token

_VERBATIM = ("fence", "code_block")
_MAX_TABLE_WIDTH = 100
"""In characters of a fixed-width font. A wider table is written without padding its cells."""


def tokens_to_text(tokens: Iterable[Token]) -> str:
    writer = _Writer()
    for token in tokens:
        writer.add_token(token)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(writer.lines)).strip("\n") + "\n"


class _Writer:
    """Collects lines of text, token by token."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._lists: list[int | None] = []
        self._indents: list[str] = []
        self._bullet: str | None = None
        self._rows: list[list[str]] = []
        self._alignments: list[str] = []

    def add_token(self, token: Token) -> None:
        if token.type == "inline" and self._alignments:
            self._rows[-1].append(_inline_text(token).replace("\n", " "))
        elif token.type == "inline":
            self._write(_inline_text(token).split("\n"))
        elif token.type in _VERBATIM:
            self._write([*token.content.rstrip().split("\n"), ""])
        elif token.type == "hr":
            self._write(["---", ""])
        elif token.type.startswith(("bullet_list", "ordered_list", "list_item")):
            self._list(token)
        elif token.type.startswith(("table", "tr", "th", "td")):
            self._table(token)
        elif token.type in ("paragraph_close", "heading_close") and not self._lists:
            self.lines.append("")

    def _write(self, lines: list[str]) -> None:
        """The first line follows the bullet, the others are indented."""
        indent = "".join(self._indents)
        if self._lists and self._bullet is None:
            lines = ["", *lines]
        first = "".join(self._indents[:-1]) + self._bullet if self._bullet is not None else indent
        self.lines += [(indent if index else first) + line if line else "" for index, line in enumerate(lines)]
        self._bullet = None

    def _list(self, token: Token) -> None:
        if token.type == "list_item_open":
            self._bullet = self._next_bullet()
            self._indents.append(" " * len(self._bullet))
        elif token.type == "list_item_close":
            if self._bullet is not None:  # an empty item
                self._write([""])
                self.lines[-1] = "".join(self._indents[:-1]) + "-"
            self._indents.pop()
        elif token.nesting > 0:
            self._flush_bullet()
            is_ordered = token.type.startswith("ordered")
            self._lists.append(int(token.attrs.get("start", 1)) if is_ordered else None)
        else:
            self._lists.pop()
            self.lines.append("")

    def _flush_bullet(self) -> None:
        """If a list starts an item, put the item's bullet on a line of its own."""
        if self._bullet is not None:
            self.lines.append(("".join(self._indents[:-1]) + self._bullet).rstrip())
            self._bullet = None

    def _next_bullet(self) -> str:
        number = self._lists[-1]
        if number is None:
            return "- "
        self._lists[-1] = number + 1
        return f"{number}. "

    def _table(self, token: Token) -> None:
        if token.type == "table_open":
            self._rows, self._alignments = [], ["left"]
        elif token.type == "tr_open":
            self._rows.append([])
        elif token.type == "th_open":
            self._alignments[len(self._rows[-1]) :] = [str(token.attrs.get("style", "")).removeprefix("text-align:")]
        elif token.type == "table_close":
            alignments, self._alignments = self._alignments, []
            self._write([*_format_table(self._rows, alignments), ""])


def _format_table(rows: list[list[str]], alignments: list[str]) -> list[str]:
    """One line a row, with a rule below the header unless the header is empty."""
    has_head = any(rows[0])
    widths = [max(map(_display_width, cells)) for cells in zip(*rows, strict=True)]
    if sum(widths) + 3 * len(widths) > _MAX_TABLE_WIDTH:
        return [" | ".join(row).rstrip() for row in rows[not has_head :]]
    lines = [" | ".join(map(_pad_cell, row, widths, alignments)).rstrip() for row in rows]
    head = [lines[0], "-|-".join("-" * width for width in widths)] if has_head else []
    return [*head, *lines[1:]]


def _pad_cell(cell: str, width: int, alignment: str) -> str:
    missing = width - _display_width(cell)
    before = missing if alignment == "right" else missing // 2 if alignment == "center" else 0
    return " " * before + cell + " " * (missing - before)


def _display_width(text: str) -> int:
    """In columns of a fixed-width font."""
    return sum(_character_width(character) for character in text)


def _character_width(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) == "Cf":
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _inline_text(token: Token) -> str:
    parts: list[str] = []
    links: list[tuple[Token, int]] = []
    for child in token.children or []:
        if child.type == "link_open":
            links.append((child, len(parts)))
        elif child.type == "link_close":
            link, start = links.pop()
            parts[start:] = [_link_text(link, "".join(parts[start:]))]
        elif child.type in ("softbreak", "hardbreak"):
            parts.append("\n")
        else:
            parts.append(child.content)
    return "".join(parts)


def _link_text(link: Token, label: str) -> str:
    """`label (address)`, or the label alone if it already shows the address."""
    href = str(link.attrs.get("href", ""))
    addresses = {href, href.removeprefix("mailto:"), href.removeprefix("tel:")}
    if label in addresses or (link.info == "auto" and not re.search(r"\s", label)):
        return label
    return f"{label} ({href})" if label.strip() and link.info != "auto" else href

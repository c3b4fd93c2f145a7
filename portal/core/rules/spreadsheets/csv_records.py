"""Read a large CSV file row by row, in memory that the rows do not determine."""

import codecs
import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice

from portal.core.rules import csv_input, text_input

_CHUNK_BYTES = 65_536


def open_csv_records(raw: bytes, columns: Sequence[str]) -> tuple[Iterator[tuple[int, list[str]]], tuple[str, ...]]:
    """What `csv_input.open_records` gives, read line by line, and warnings about the file. Raises `CsvError`."""
    encoding = _valid_encoding(raw)
    if encoding is None:
        decoded = csv_input.decode_csv(raw)  # which says what is wrong, or finds another encoding
        return csv_input.open_records(decoded.text, columns), decoded.warnings
    lines = _clean_lines(io.TextIOWrapper(io.BytesIO(raw), encoding, newline=""))
    head, declared = csv_input.split_sep_line("".join(islice(lines, csv_input.MAX_HEADER_LINES)))
    delimiter = declared or csv_input.detect_delimiter(head, columns)
    return _limited(csv_input.parse_records(chain(io.StringIO(head, newline=""), lines), delimiter)), ()


def _valid_encoding(raw: bytes) -> str | None:
    """The encoding that the file begins with, if all of it is valid text."""
    encoding = csv_input.encoding_at_start(raw)
    if raw.startswith(csv_input.WORKBOOK_SIGNATURES) or (encoding == "utf-8" and b"\x00" in raw):
        return None
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        for start in range(0, len(raw), _CHUNK_BYTES):
            decoder.decode(raw[start : start + _CHUNK_BYTES])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return None
    return encoding


def _clean_lines(lines: Iterable[str]) -> Iterator[str]:
    """As `decode_csv` cleans the whole text."""
    previous = ""
    for line in lines:
        content = line.rstrip("\r\n")
        cleaned = line if content.isascii() and content.isprintable() else text_input.clean_csv(line)
        if cleaned == "\r\n" and previous.endswith("\r"):
            previous += "\n"  # a doubled line end
            continue
        yield previous
        previous = cleaned
    yield previous


def _limited(records: Iterable[tuple[int, list[str]]]) -> Iterator[tuple[int, list[str]]]:
    for count, record in enumerate(records):
        if count > csv_input.MAX_CSV_ROWS:
            raise csv_input.too_many_rows()
        yield record

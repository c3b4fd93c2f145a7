"""The signed file: every changed byte is found, and named."""

import hashlib
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from portal.records.rules import proof_file
from portal.records.rules.proof_file import Chain, canonical

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
FINGERPRINT = proof_file.fingerprint(proof_file.public_bytes(KEY))
RECORDS: list[dict[str, Any]] = [
    {"communication": {"id": 7, "subject": "Renewal – “soon”"}, "consent": {"event": 3}, "receipts": []},
    {"communication": {"id": 8, "subject": "Renewal"}, "consent": None, "receipts": [{"status": "delivered"}]},
]


def written(key: Ed25519PrivateKey = KEY) -> list[bytes]:
    line, chain = proof_file.write_header({"send": 12}, proof_file.public_bytes(key))
    lines = [line]
    for record in RECORDS:
        line, chain = proof_file.write_line(chain, record)
        lines.append(line)
    return [*lines, proof_file.write_end(chain, {"ledger": {"last_event": 3}}, key)]


def problem(lines: list[bytes]) -> str:
    return proof_file.verify(lines).problem


def test_untouched_file_is_valid() -> None:
    verdict = proof_file.verify(written(), FINGERPRINT.upper())
    assert (verdict.problem, verdict.records, verdict.fingerprint) == ("", 2, FINGERPRINT)
    assert verdict.header == {"send": 12, "format": proof_file.FORMAT}


def test_every_changed_byte_is_found() -> None:
    content = b"".join(written())
    missed = []
    for position, byte in enumerate(content):
        for other in {byte ^ 1, byte ^ 32, ord("0"), ord("\n")} - {byte}:
            changed = content[:position] + bytes([other]) + content[position + 1 :]
            if not problem(changed.splitlines(keepends=True)):
                missed.append((position, other))
    assert missed == []


@pytest.mark.parametrize(
    ("line", "before", "after", "expected"),
    [
        (1, b"soon", b"late", "Line 2, communication 7: the part “communication” was changed."),
        (1, b'"event":3', b'"event":4', "Line 2, communication 7: the part “consent” was changed."),
        (2, b'"delivered"', b'"failed"', "Line 3, communication 8: the part “receipts” was changed."),
        (0, b'"send":12', b'"send":13', "Line 1: the part “about” was changed."),
        (3, b'"last_event":3', b'"last_event":4', "Line 4: the part “end” was changed."),
        (1, b'{"digest"', b'{ "digest"', "Line 2, communication 7: it is written differently than by the portal."),
        (1, b'"number":1', b'"number":1.0', "Line 2, communication 7: it is written differently than by the portal."),
        (1, b'"number":1', b'"number":true', "Line 2, communication 7: it is written differently than by the portal."),
        (0, b'"number":0', b'"number":false', "Line 1: it is written differently than by the portal."),
    ],
)
def test_change_is_named_by_its_part(line: int, before: bytes, after: bytes, expected: str) -> None:
    lines = written()
    assert before in lines[line]
    lines[line] = lines[line].replace(before, after)
    assert problem(lines) == expected


@pytest.mark.parametrize(
    ("kept", "expected"),
    [
        ((0, 2, 3), "a line before it is missing"),
        ((0, 2, 1, 3), "a line before it is missing"),
        ((0, 1, 1, 2, 3), "was inserted"),
        ((0, 1, 2), "The end of the file is missing"),
        ((0, 1, 2, 3, 1), "there is something after the end"),
        ((), "The end of the file is missing"),
    ],
)
def test_missing_moved_and_added_lines_are_found(kept: tuple[int, ...], expected: str) -> None:
    lines = written()
    assert expected in problem([lines[index] for index in kept])


def test_file_rewritten_with_another_key_has_another_fingerprint() -> None:
    forged = written(Ed25519PrivateKey.from_private_bytes(b"f" * 32))
    assert problem(forged) == ""
    assert "another key than the expected one" in proof_file.verify(forged, FINGERPRINT).problem


def test_end_signed_by_somebody_else_is_refused() -> None:
    line, chain = proof_file.write_header({"send": 12}, proof_file.public_bytes(KEY))
    end = proof_file.write_end(chain, {"ledger": {}}, Ed25519PrivateKey.from_private_bytes(b"f" * 32))
    assert problem([line, end]) == "Line 2: the signature does not match."


def test_digests_can_be_checked_without_the_portal() -> None:
    """As docs/adr/operations/0044-proof-of-notice.md says, with a JSON library and SHA-256 only."""
    previous = "0" * 64
    for number, raw in enumerate(written()):
        line = json.loads(raw)
        for name, value in line["parts"].items():
            assert hashlib.sha256(canonical(value)).hexdigest() == line["digests"][name]
        previous = hashlib.sha256(canonical([previous, number, line["digests"]])).hexdigest()
        assert line["digest"] == previous


def test_chain_continues_where_a_worker_stopped() -> None:
    lines = written()
    middle = json.loads(lines[1])
    line, _chain = proof_file.write_line(Chain(2, middle["digest"]), RECORDS[1])
    assert line == lines[2]

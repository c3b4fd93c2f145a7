"""The signed file of a proof of notice: JSON lines, each chained to the one before, and a signature at the end.

A line has parts, and a digest of each, so that a check can say which part was changed. Its own digest covers these and
the digest of the line before; the last line signs its own. So anybody can check the file without the portal, and nobody
can change, remove or insert a line (docs/adr/operations/0044-proof-of-notice.md).
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

FORMAT = "proof-of-notice/1"
_START = "0" * 64
_PURPOSE = b"proof of notice\n"
"""Part of what is signed, so that the key cannot be made to sign anything else."""
_LINE_KEYS = {"number", "parts", "digests", "digest"}


@dataclass(frozen=True)
class Chain:
    """Where the next line continues: its number, and the digest of the line before."""

    number: int = 0
    digest: str = _START


@dataclass(frozen=True)
class Verdict:
    """`problem` says what is wrong, "" if nothing is. The rest is what the file says about itself."""

    problem: str = ""
    records: int = 0
    fingerprint: str = ""
    header: Mapping[str, Any] | None = None


class _Invalid(Exception):
    pass


def public_bytes(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()


def fingerprint(public_key: bytes) -> str:
    """SHA-256 of the public key, in groups that can be read aloud."""
    digest = hashlib.sha256(public_key).hexdigest()
    return " ".join(digest[start : start + 8] for start in range(0, 64, 8))


def canonical(value: Any) -> bytes:
    """The one way to write a value, so that equal values have equal digests."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def write_line(chain: Chain, parts: Mapping[str, Any]) -> tuple[bytes, Chain]:
    line = _chained(chain, parts)
    return canonical(line) + b"\n", Chain(chain.number + 1, line["digest"])


def write_header(about: Mapping[str, Any], public_key: bytes) -> tuple[bytes, Chain]:
    """`about` says whose notice it is, who wrote the file and when."""
    key = {"algorithm": "Ed25519", "public_key": public_key.hex(), "fingerprint": fingerprint(public_key)}
    return write_line(Chain(), {"about": {**about, "format": FORMAT}, "key": key})


def public_key_in(start_of_file: bytes) -> bytes:
    """The key that the header names."""
    return bytes.fromhex(json.loads(start_of_file.partition(b"\n")[0])["parts"]["key"]["public_key"])


def write_end(chain: Chain, closing: Mapping[str, Any], key: Ed25519PrivateKey) -> bytes:
    """`closing` holds the head of the consent ledger."""
    line = _chained(chain, {"end": {**closing, "records": chain.number - 1}})
    return canonical({**line, "signature": key.sign(_signed(line["digest"])).hex()}) + b"\n"


def verify(lines: Iterable[bytes], expected_fingerprint: str = "") -> Verdict:
    """Check a file line by line; any size fits into memory."""
    chain, header, end = Chain(), None, None
    for raw in lines:
        name = f"Line {chain.number + 1:,}"
        try:
            if end is not None:
                raise _Invalid(f"{name}: there is something after the end.")
            line = _parsed(raw, name, chain)
            chain = Chain(chain.number + 1, line["digest"])
            header, end = _checked_ends(line, name, header, chain, expected_fingerprint)
        except _Invalid as error:
            return Verdict(str(error), max(chain.number - 1, 0), _fingerprint(header), _about(header))
    if header is None or end is None:
        return Verdict("The end of the file is missing: it was cut off.", 0, _fingerprint(header), _about(header))
    return Verdict("", end["records"], _fingerprint(header), _about(header))


def _chained(chain: Chain, parts: Mapping[str, Any]) -> dict[str, Any]:
    digests = {name: hashlib.sha256(canonical(value)).hexdigest() for name, value in parts.items()}
    return {"number": chain.number, "parts": parts, "digests": digests, "digest": _link(chain, digests)}


def _link(chain: Chain, digests: Mapping[str, str]) -> str:
    return hashlib.sha256(canonical([chain.digest, chain.number, digests])).hexdigest()


def _signed(digest: str) -> bytes:
    return _PURPOSE + digest.encode()


def _parsed(raw: bytes, name: str, chain: Chain) -> dict[str, Any]:
    """Raises `_Invalid` unless the line is exactly as it was written."""
    try:
        line = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise _Invalid(f"{name}: it is not JSON any more.") from error
    if not isinstance(line, dict) or line.keys() - {"signature"} != _LINE_KEYS:
        raise _Invalid(f"{name}: fields are missing or were added.")
    parts, digests = line["parts"], line["digests"]
    if not isinstance(parts, dict) or not isinstance(digests, dict) or parts.keys() != digests.keys():
        raise _Invalid(f"{name}: parts are missing or were added.")
    name = _named(name, parts)
    for part, value in parts.items():
        if hashlib.sha256(canonical(value)).hexdigest() != digests[part]:
            raise _Invalid(f"{name}: the part “{part}” was changed.")
    if line["number"] != chain.number or line["digest"] != _link(chain, digests):
        raise _Invalid(f"{name}: a digest was changed, or a line before it is missing, was inserted or moved.")
    if canonical({**line, **_chained(chain, parts)}) + b"\n" != raw:  # not of `line` alone: in JSON, 1.0 is 1
        raise _Invalid(f"{name}: it is written differently than by the portal.")
    return line


def _named(name: str, parts: Mapping[str, Any]) -> str:
    communication: Any = parts.get("communication")
    return f"{name}, communication {communication['id']}" if _has(communication, "id") else name


def _checked_ends(
    line: Mapping[str, Any], name: str, header: Mapping[str, Any] | None, chain: Chain, expected_fingerprint: str
) -> tuple[Mapping[str, Any], Mapping[str, Any] | None]:
    """The header and, if this line is it, the end. Raises `_Invalid`."""
    parts = line["parts"]
    if header is None:
        _check_header(parts, expected_fingerprint)
        header = parts
    if ("end" in parts) != ("signature" in line):
        raise _Invalid(f"{name}: the signature is missing, or is where none belongs.")
    if "end" not in parts:
        return header, None
    end: Any = parts["end"]
    if not _has(end, "records") or end["records"] != chain.number - 2:
        raise _Invalid(f"{name}: the number of records is wrong.")
    _check_signature(line, header, name)
    return header, end


def _check_header(parts: Mapping[str, Any], expected_fingerprint: str) -> None:
    if not _has(parts.get("about"), "format") or parts["about"]["format"] != FORMAT:
        raise _Invalid("This is not a proof of notice, or one of a newer version.")
    if not _has(parts.get("key"), "fingerprint") or parts["key"]["fingerprint"] != _fingerprint(parts):
        raise _Invalid("Line 1: the fingerprint is not that of the key in the file.")
    if expected_fingerprint and _letters(expected_fingerprint) != _letters(_fingerprint(parts)):
        raise _Invalid("The file is signed with another key than the expected one.")


def _check_signature(line: Mapping[str, Any], header: Mapping[str, Any], name: str) -> None:
    try:
        signature = bytes.fromhex(line["signature"])
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(header["key"]["public_key"])).verify(
            signature, _signed(line["digest"])
        )
    except (InvalidSignature, ValueError, TypeError) as error:
        raise _Invalid(f"{name}: the signature does not match.") from error
    if signature.hex() != line["signature"]:
        raise _Invalid(f"{name}: the signature is written differently than by the portal.")


def _fingerprint(header: Mapping[str, Any] | None) -> str:
    """Of the key in the file; "" if there is none."""
    try:
        return fingerprint(bytes.fromhex(header["key"]["public_key"])) if header else ""
    except (KeyError, TypeError, ValueError):
        return ""


def _about(header: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    return header.get("about") if header else None


def _has(value: Any, key: str) -> bool:
    return isinstance(value, dict) and key in value


def _letters(text: str) -> str:
    return "".join(text.split()).lower()

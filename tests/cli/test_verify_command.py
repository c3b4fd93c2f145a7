"""`portal verify` checks a file without a database or settings."""

from pathlib import Path

from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from portal.cli.verify_command import verify
from portal.records.rules import proof_file

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
FINGERPRINT = proof_file.fingerprint(proof_file.public_bytes(KEY))


def write_file(folder: Path) -> Path:
    header, chain = proof_file.write_header({"send": 12, "organization": "Board"}, proof_file.public_bytes(KEY))
    line, chain = proof_file.write_line(chain, {"communication": {"id": 7}, "content": {"text": "Hello"}})
    path = folder / "proof.jsonl"
    path.write_bytes(header + line + proof_file.write_end(chain, {"ledger": {}}, KEY))
    return path


def test_valid_file_says_what_it_is_about_and_whose_key_it_has(tmp_path: Path) -> None:
    result = CliRunner().invoke(verify, [str(write_file(tmp_path)), "--key", FINGERPRINT])
    assert result.exit_code == 0
    assert "Valid: 1 record, nothing was changed." in result.output
    assert "Send: 12" in result.output
    assert f"Signed with the key {FINGERPRINT}" in result.output


def test_changed_file_fails_with_the_changed_part(tmp_path: Path) -> None:
    path = write_file(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"Hello", b"Hallo"))
    result = CliRunner().invoke(verify, [str(path)])
    assert (result.exit_code, result.stdout) == (1, "")
    assert "NOT VALID. Line 2, communication 7: the part “content” was changed." in result.stderr


def test_other_key_and_missing_file_fail(tmp_path: Path) -> None:
    other = CliRunner().invoke(verify, [str(write_file(tmp_path)), "--key", "00" * 32])
    missing = CliRunner().invoke(verify, [str(tmp_path / "none.jsonl")])
    assert "another key than the expected one" in other.stderr
    assert "cannot be read" in missing.stderr
    assert (other.exit_code, missing.exit_code) == (1, 1)


def test_forged_file_writes_no_control_characters(tmp_path: Path) -> None:
    header, chain = proof_file.write_header({"organization": "\x1b[2JBoard"}, proof_file.public_bytes(KEY))
    path = tmp_path / "proof.jsonl"
    path.write_bytes(header + proof_file.write_end(chain, {"ledger": {}}, KEY))
    assert "Organization: [2JBoard" in CliRunner().invoke(verify, [str(path)]).output
    line, chain = proof_file.write_line(chain, {"\x1b[2J": 1})
    path.write_bytes(header + line.replace(b":1}", b":2}"))
    assert "\x1b" not in CliRunner().invoke(verify, [str(path)]).stderr

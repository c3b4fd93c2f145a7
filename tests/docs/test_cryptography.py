"""The list of cryptography in docs/cryptography.md is that of the code, and nothing weak is in it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.support import servers

LISTED = re.findall(r"^\| `(portal/[\w/]+\.py)` \|", (servers.ROOT / "docs/cryptography.md").read_text(), re.MULTILINE)
LIBRARIES = {"argon2", "cryptography", "hashlib", "hmac", "itsdangerous", "jwt", "passlib", "pyotp", "secrets", "ssl"}
LIBRARIES |= {"authlib", "joserfc", "webauthn", "Crypto", "nacl"}
PRODUCT = [*sorted((servers.ROOT / "portal").rglob("*.py")), *sorted((servers.ROOT / "jobs").rglob("*.py"))]


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield (node.module or "").partition(".")[0]


def test_every_use_of_cryptography_is_listed() -> None:
    using = {str(path.relative_to(servers.ROOT)) for path in PRODUCT if LIBRARIES & set(imported(path))}
    assert sorted(LISTED) == sorted(using)


def test_no_broken_hash_and_no_predictable_number_is_used() -> None:
    weak = re.compile(r"\b(md5|sha1|sha_1|des|rc4|arc4|ecb|crypt)\b", re.IGNORECASE)
    for path in PRODUCT:
        names = {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
        assert not [name for name in names if weak.fullmatch(name)], path
        assert "random" not in imported(path), path

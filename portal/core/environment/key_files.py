"""Where the two keys of the environment come from, and how one in the instance folder gets a successor."""

import base64
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from portal.core.environment.secret_files import find_secret_file


@dataclass(frozen=True)
class KeySource:
    """`path` is None for the variable itself. `is_generated`: the portal keeps the file in its instance folder."""

    path: Path | None
    is_generated: bool = False

    @property
    def changed_at_ms(self) -> int | None:
        return round(self.path.stat().st_mtime * 1000) if self.path and self.path.exists() else None


def key_file(instance: Path, variable: str) -> Path:
    return instance / variable.removeprefix("PORTAL_").lower()


def key_source(env: Mapping[str, str], instance: Path, variable: str) -> KeySource:
    if env.get(variable):
        return KeySource(None)
    if file := find_secret_file(env, variable):
        return KeySource(file.path)
    return KeySource(key_file(instance, variable), is_generated=True)


def new_key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


def put_key_first(path: Path, key: str) -> None:
    """The present keys stay behind it, for what they have encrypted or signed. Atomic and on disk at the end."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as handle:
        handle.write(f"{key},{path.read_text().strip()}")
        handle.flush()
        os.fsync(descriptor)
    draft.replace(path)

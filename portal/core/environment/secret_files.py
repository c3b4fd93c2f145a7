"""Secrets from files instead of environment variables, which other programs of the same user may read.

`PORTAL_…_FILE` names the file of a variable. systemd puts its credentials into `$CREDENTIALS_DIRECTORY`, in files that
have the names of the variables.
"""

import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

_MAX_BYTES = 65_536
_NOT_PRIVATE = stat.S_IWGRP | stat.S_IXGRP | stat.S_IRWXO
"""The group may read: that is how a host gives one file to one service."""


class SecretFileError(ValueError):
    """A sentence for the operator, which never shows the secret."""


@dataclass(frozen=True)
class SecretFile:
    path: Path
    is_credential: bool = False
    """systemd has made it private in its own way: by an access list, which the mode does not show."""

    def read(self, variable: str) -> str:
        """Raises `SecretFileError`."""
        try:
            with self.path.open("rb") as handle:
                self._check_private(variable, os.fstat(handle.fileno()))
                text = handle.read(_MAX_BYTES).decode().strip()
        except OSError as error:
            raise SecretFileError(
                f"{variable}: {self.path} cannot be read ({os.strerror(error.errno or 0)})."
            ) from error
        except UnicodeDecodeError as error:
            raise SecretFileError(f"{variable}: {self.path} is not text in UTF-8.") from error
        if not text:
            raise SecretFileError(f"{variable}: {self.path} is empty. Write the secret into it.")
        return text

    def _check_private(self, variable: str, status: os.stat_result) -> None:
        if self.is_credential:
            return
        if not stat.S_ISREG(status.st_mode):
            raise SecretFileError(f"{variable}: {self.path} is not a file.")
        if status.st_mode & _NOT_PRIVATE or status.st_uid not in (0, os.geteuid()):
            raise SecretFileError(
                f"{variable}: other users can read or change {self.path} (mode {stat.S_IMODE(status.st_mode):04o}). "
                f"Give it to root or to this user, and run: chmod 0440 {self.path}"
            )


def find_secret_file(env: Mapping[str, str], variable: str) -> SecretFile | None:
    if named := env.get(f"{variable}_FILE"):
        return SecretFile(Path(named))
    folder = env.get("CREDENTIALS_DIRECTORY")
    credential = Path(folder, variable) if folder else None
    return SecretFile(credential, is_credential=True) if credential is not None and credential.is_file() else None


def with_secret_files(env: Mapping[str, str], variables: Iterable[str]) -> Mapping[str, str]:
    """The environment with the secrets from files. Raises `SecretFileError`."""
    found = {variable: file for variable in variables if (file := find_secret_file(env, variable)) is not None}
    for variable, file in found.items():
        if env.get(variable):
            raise SecretFileError(
                f"{variable} is set twice: in the environment, and by {file.path}. Remove one of them."
            )
    return {**env, **{variable: file.read(variable) for variable, file in found.items()}}

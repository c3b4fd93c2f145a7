"""Turns a process into the next release: the same code with one more migration, in the folder `NEXT_MIGRATIONS`."""

import os
from pathlib import Path

from portal.core import schema_version


def use_next_migrations() -> None:
    if "NEXT_MIGRATIONS" in os.environ:
        schema_version.MIGRATIONS = Path(os.environ["NEXT_MIGRATIONS"])

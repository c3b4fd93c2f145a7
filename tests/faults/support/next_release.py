"""The release after this one: the same code, with a migration more (`NEXT_MIGRATIONS` is their folder)."""

import os
from pathlib import Path

from portal.core import schema_version


def use_next_migrations() -> None:
    if "NEXT_MIGRATIONS" in os.environ:
        schema_version.MIGRATIONS = Path(os.environ["NEXT_MIGRATIONS"])

"""The release after this one: the same code, with a migration more (`NEXT_MIGRATIONS` is their folder)."""

import os
from pathlib import Path

from portal.models import schema


def use_next_migrations() -> None:
    if "NEXT_MIGRATIONS" in os.environ:
        schema.MIGRATIONS = Path(os.environ["NEXT_MIGRATIONS"])

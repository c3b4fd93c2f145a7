"""Compares the database's migration revision with the one this version of the code needs.

A release only makes changes that the previous version tolerates, so older code runs on newer tables. Newer code on
older tables would fail halfway through its work.
"""

import re
from functools import lru_cache
from pathlib import Path

from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from portal.core.rules.connection_errors import DATABASE_NOT_INITIALIZED

MIGRATIONS = Path(__file__).resolve().parent.parent.parent / "migrations"
_PRERELEASE_REVISION = re.compile(r"00[0-2][0-9]")
PRERELEASE_DATABASE = (
    "This database was created before the first release, and its tables cannot be upgraded. Nothing was changed. "
    "Set PORTAL_DATABASE_URL to an empty database and run: portal db upgrade. To keep data of the old database, "
    "export it with the version that created it."
)


def is_in_models(name: str | None, _kind: str, _parents: object) -> bool:
    """Whether a table or an index is to be one of the models: those of trigrams differ between the databases."""
    return not (name or "").startswith("trigram_")


def stored_revision(connection: Connection) -> str:
    """The revision of the tables; empty if there are none."""
    return MigrationContext.configure(connection).get_current_revision() or ""


@lru_cache(maxsize=1)
def known_revisions() -> tuple[str, ...]:
    """The revisions in this version of the code, newest first."""
    return tuple(script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions())


def is_prerelease(revision: str) -> bool:
    """The tables were created before the first release, by migrations that no longer exist."""
    return bool(_PRERELEASE_REVISION.fullmatch(revision))


def migration_problem(revision: str) -> str:
    """Why this version cannot use tables at `revision`, and what to do; empty if it can."""
    if not revision:
        return str(DATABASE_NOT_INITIALIZED)
    if is_prerelease(revision):
        return PRERELEASE_DATABASE
    if revision in known_revisions()[1:]:
        return f"The tables are at {revision}, and this version needs {known_revisions()[0]}. Run: portal db upgrade"
    return ""


def is_newer_revision(revision: str) -> bool:
    """A newer version of the portal has migrated these tables."""
    return bool(revision) and revision not in known_revisions() and not is_prerelease(revision)

"""Which tables the database has, as a revision of the migrations, beside those that this version of the code needs.

A release only adds to the tables what the version before it does not mind, so older code runs on newer tables; newer
code on older tables would fail in the middle of its work.
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
    "A version before the first release made this database, and its tables cannot be upgraded. Nothing in it was "
    "changed. Give PORTAL_DATABASE_URL an empty database and run: portal db upgrade. What you need of the old one, "
    "export with the version that made it."
)


def stored_revision(connection: Connection) -> str:
    """The revision of the tables; nothing when there are none."""
    return MigrationContext.configure(connection).get_current_revision() or ""


@lru_cache(maxsize=1)
def known_revisions() -> tuple[str, ...]:
    """Every revision of this version of the code, the newest first."""
    return tuple(script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions())


def is_prerelease(revision: str) -> bool:
    """The tables were made before the first release, by migrations that no longer exist."""
    return bool(_PRERELEASE_REVISION.fullmatch(revision))


def migration_problem(revision: str) -> str:
    """Why this version cannot work with these tables, as a sentence with the way out; "" when it can."""
    if not revision:
        return str(DATABASE_NOT_INITIALIZED)
    if is_prerelease(revision):
        return PRERELEASE_DATABASE
    if revision in known_revisions()[1:]:
        return f"The tables are at {revision}, and this version needs {known_revisions()[0]}. Run: portal db upgrade"
    return ""


def is_newer_revision(revision: str) -> bool:
    """A newer version of the portal has been at work on these tables."""
    return bool(revision) and revision not in known_revisions() and not is_prerelease(revision)

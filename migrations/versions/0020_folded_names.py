"""Accounts as they are compared: their number and email without case, and all that is searched without accents.

An account number that differs from an earlier one by case only keeps its account findable by its exact form alone; no
further one can be made. What the version before adds meanwhile has none of these and is found as before.
"""

import sqlalchemy as sa
from alembic import op

from portal.domain.folding import same, searchable

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_AT_ONCE = 1_000
_COLUMNS = ("external_id_folded", "email_folded", "search_folded")


def upgrade() -> None:
    for name in _COLUMNS:
        op.add_column("account", sa.Column(name, sa.Text(), nullable=True))
    _fill()
    op.create_index("uq_account_external_id_folded", "account", ["external_id_folded"], unique=True)
    op.create_index("ix_account_email_folded", "account", ["email_folded"])


def downgrade() -> None:
    op.drop_index("ix_account_email_folded", "account")
    op.drop_index("uq_account_external_id_folded", "account")
    for name in reversed(_COLUMNS):
        op.drop_column("account", name)


def _fill() -> None:
    connection, seen, after = op.get_bind(), set(), 0
    account = sa.table("account", *(sa.column(name) for name in ("id", "external_id", "name", "email", *_COLUMNS)))
    wanted = sa.select(account.c.id, account.c.external_id, account.c.name, account.c.email).order_by(account.c.id)
    write = sa.update(account).where(account.c.id == sa.bindparam("at"))
    write = write.values({name: sa.bindparam(name) for name in _COLUMNS})
    while rows := connection.execute(wanted.where(account.c.id > after).limit(_AT_ONCE)).all():
        values = []
        for row in rows:
            folded = same(row.external_id)
            texts = searchable(row.name, row.email, row.external_id)
            values.append(dict(zip(_COLUMNS, (None if folded in seen else folded, same(row.email), texts)), at=row.id))
            seen.add(folded)
        connection.execute(write, values)
        after = rows[-1].id

"""settings that end by themselves, and a history of who changed which: closed to changes, as the consent ledger is."""

import sqlalchemy as sa
from alembic import op


revision = '0005'
down_revision = '0004'
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')


def upgrade() -> None:
    op.add_column('app_setting', sa.Column('until_ms', _KEY, nullable=True))
    op.create_table('setting_change',
    sa.Column('id', _KEY, nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('how', sa.Text(), nullable=False),
    sa.Column('before', sa.Text(), nullable=False),
    sa.Column('after', sa.Text(), nullable=False),
    sa.Column('until_ms', _KEY, nullable=True),
    sa.Column('at_ms', _KEY, nullable=False),
    sa.Column('changed_by_id', _KEY, nullable=True),
    sa.ForeignKeyConstraint(['changed_by_id'], ['account.id'], name=op.f('fk_setting_change_changed_by_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_setting_change')),
    sqlite_strict=True
    )
    op.create_index('ix_setting_change_name', 'setting_change', ['name', 'id'], unique=False)
    for statement in _SQLITE if op.get_bind().dialect.name == 'sqlite' else _POSTGRES:
        op.execute(statement)


def downgrade() -> None:
    op.drop_index('ix_setting_change_name', 'setting_change')
    op.drop_table('setting_change')
    if op.get_bind().dialect.name == 'postgresql':
        op.execute('DROP FUNCTION setting_change_refuse()')
    op.drop_column('app_setting', 'until_ms')


_SQLITE = (
    """CREATE TRIGGER setting_change_no_update BEFORE UPDATE ON setting_change
       BEGIN SELECT RAISE(ABORT, 'the history of settings is append-only: nothing in it may be changed'); END""",
    """CREATE TRIGGER setting_change_no_delete BEFORE DELETE ON setting_change
       BEGIN SELECT RAISE(ABORT, 'the history of settings is append-only: nothing in it may be removed'); END""",
    # INSERT OR REPLACE removes the old row without asking the trigger above
    """CREATE TRIGGER setting_change_no_replace BEFORE INSERT ON setting_change
       WHEN EXISTS (SELECT 1 FROM setting_change WHERE id = NEW.id)
       BEGIN SELECT RAISE(ABORT, 'the history of settings is append-only: this line is there already'); END""",
)
_POSTGRES = (
    """CREATE FUNCTION setting_change_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN RAISE EXCEPTION 'the history of settings is append-only: nothing in it may be changed or removed'; END $$""",
    """CREATE TRIGGER setting_change_no_change BEFORE UPDATE OR DELETE ON setting_change
       FOR EACH ROW EXECUTE FUNCTION setting_change_refuse()""",
    """CREATE TRIGGER setting_change_no_truncate BEFORE TRUNCATE ON setting_change
       FOR EACH STATEMENT EXECUTE FUNCTION setting_change_refuse()""",
)

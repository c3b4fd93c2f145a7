"""Topics of templates, and the accounts that have switched off the texts of one."""

from collections.abc import Sequence

from sqlalchemy import ForeignKey, Index, Text, func, select
from sqlalchemy.orm import Mapped, mapped_column

from portal.accounts.tables.accounts import Account
from portal.content.tables.templates import Template
from portal.core.column_types import STRICT, BigIntKey, Millis
from portal.core.extensions import Base, db
from portal.core.statements import in_list


class Topic(Base):
    """What several templates are about. People see `name` and `description`, one sentence."""

    __tablename__ = "topic"
    __table_args__ = (STRICT,)

    id: Mapped[int] = mapped_column(BigIntKey, primary_key=True)
    name: Mapped[str] = mapped_column(Text, unique=True)
    description: Mapped[str] = mapped_column(Text)
    created_at_ms: Mapped[int] = mapped_column(Millis)
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("account.id"))


class TopicOptOut(Base):
    """The account gets no texts about the topic. Only restricts: no row turns on a text that STOP ended."""

    __tablename__ = "topic_opt_out"
    # All accounts of a topic, for previews of sends.
    __table_args__ = (Index("ix_topic_opt_out_topic", "topic_id", "account_id"), STRICT)

    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"), primary_key=True)
    topic_id: Mapped[int] = mapped_column(ForeignKey("topic.id"), primary_key=True)
    switched_off_at_ms: Mapped[int] = mapped_column(Millis)


def all_topics() -> list[Topic]:
    """In order of their names."""
    return list(db.session.scalars(select(Topic).order_by(func.lower(Topic.name), Topic.id)))


def topics_in_use() -> list[Topic]:
    """Those that a template in use has, in order of their names: the others concern nobody."""
    is_used = select(Template.id).where(Template.topic_id == Topic.id, Template.archived_at_ms.is_(None)).exists()
    return list(db.session.scalars(select(Topic).where(is_used).order_by(func.lower(Topic.name), Topic.id)))


def topics_off(account_id: int) -> set[int]:
    """The topics that the account has switched off."""
    return set(db.session.scalars(select(TopicOptOut.topic_id).where(TopicOptOut.account_id == account_id)))


def names_of_topics_off(account_id: int) -> list[str]:
    query = select(Topic.name).join(TopicOptOut).where(TopicOptOut.account_id == account_id)
    return list(db.session.scalars(query.order_by(func.lower(Topic.name), Topic.id)))


def accounts_without_topic(topic_id: int, account_ids: Sequence[int]) -> set[int]:
    """Which of these accounts have switched it off."""
    query = select(TopicOptOut.account_id).where(TopicOptOut.topic_id == topic_id)
    return set(db.session.scalars(query.where(in_list(TopicOptOut.account_id, account_ids))))


def count_opt_outs() -> dict[int, int]:
    """Active accounts by the topic that they have switched off."""
    is_active = Account.active == True  # noqa: E712  SQL, not Python
    query = select(TopicOptOut.topic_id, func.count()).join(Account).where(is_active).group_by(TopicOptOut.topic_id)
    return {topic_id: count for topic_id, count in db.session.execute(query)}

"""Templates and their versions: an edit adds a version, and a send keeps the version it used."""

from typing import Any

from sqlalchemy import ForeignKey, Text, UniqueConstraint, func, select
from sqlalchemy.orm import Mapped, contains_eager, mapped_column, relationship, selectinload

from portal.accounts.tables.accounts import Account
from portal.content.template_words import OWN_LANGUAGE, TemplateWords
from portal.core.column_types import STRICT, BigIntKey, Flag, Json, Millis
from portal.core.extensions import Base, db
from portal.core.keyset import SortColumns, order_by


class Template(Base):
    """`tags` are the words by which people find it. An archived one is not offered for new sends.

    Administrators cannot read what was sent from a `sensitive` one, which therefore stays so. Its topic counts for all
    versions, also for texts that wait.
    """

    __tablename__ = "template"
    __table_args__ = (STRICT,)

    id: Mapped[int] = mapped_column(BigIntKey, primary_key=True)
    key: Mapped[str] = mapped_column(Text, unique=True)
    name: Mapped[str] = mapped_column(Text)
    current_version: Mapped[int] = mapped_column(default=1)
    created_at_ms: Mapped[int] = mapped_column(Millis)
    tags: Mapped[Any] = mapped_column(Json, default=list, server_default="[]")
    archived_at_ms: Mapped[int | None] = mapped_column(Millis)
    sensitive: Mapped[bool] = mapped_column(Flag, default=False, server_default="0")
    topic_id: Mapped[int | None] = mapped_column(BigIntKey)

    versions: Mapped[list["TemplateVersion"]] = relationship(
        back_populates="template", order_by="TemplateVersion.number.desc()"
    )


class TemplateVersion(Base):
    """`subject` and `body` are the template's own words."""

    __tablename__ = "template_version"
    __table_args__ = (UniqueConstraint("template_id", "number"), STRICT)

    id: Mapped[int] = mapped_column(BigIntKey, primary_key=True)
    template_id: Mapped[int] = mapped_column(ForeignKey("template.id"))
    number: Mapped[int]
    subject: Mapped[str] = mapped_column(Text)
    body: Mapped[str] = mapped_column(Text)
    urgent: Mapped[bool] = mapped_column(Flag, default=False)
    sms_enabled: Mapped[bool] = mapped_column(Flag, default=False)
    sms_expiry_hours: Mapped[int | None]
    """Texts are not sent after this many hours; None means they do not expire."""
    created_at_ms: Mapped[int] = mapped_column(Millis)
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("account.id"))

    template: Mapped[Template] = relationship(back_populates="versions")
    created_by: Mapped[Account | None] = relationship()
    variants: Mapped[list["TemplateVariant"]] = relationship(order_by="TemplateVariant.language")

    @property
    def own_words(self) -> TemplateWords:
        return TemplateWords(OWN_LANGUAGE, self.subject, self.body)

    @property
    def all_words(self) -> tuple[TemplateWords, ...]:
        return (self.own_words, *(TemplateWords(row.language, row.subject, row.body) for row in self.variants))


class TemplateVariant(Base):
    """What a version says in another language."""

    __tablename__ = "template_variant"
    __table_args__ = (STRICT,)

    template_version_id: Mapped[int] = mapped_column(ForeignKey("template_version.id"), primary_key=True)
    language: Mapped[str] = mapped_column(Text, primary_key=True)
    subject: Mapped[str] = mapped_column(Text)
    body: Mapped[str] = mapped_column(Text)


def find_template(key: str) -> Template | None:
    return db.session.scalar(select(Template).where(Template.key == key))


def find_template_version(template: Template, number: int | None = None) -> TemplateVersion:
    """The current version, or the one with this number."""
    version_number = template.current_version if number is None else number
    query = select(TemplateVersion).filter_by(template_id=template.id, number=version_number)
    return db.session.scalars(query).one()


BY_NAME: SortColumns = (func.lower(Template.name), Template.id)


def current_template_versions(columns: SortColumns = BY_NAME, descending: bool = False) -> list[TemplateVersion]:
    """The current version of every template, with the archived ones, and with their variants."""
    query = select(TemplateVersion).join(Template).where(TemplateVersion.number == Template.current_version)
    query = query.options(contains_eager(TemplateVersion.template), selectinload(TemplateVersion.variants))
    return list(db.session.scalars(query.order_by(*order_by(columns, descending))))

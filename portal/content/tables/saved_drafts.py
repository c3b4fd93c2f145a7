"""Drafts of templates: an edit that is saved and not published."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import ForeignKey, Text, select
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.accounts.tables.accounts import Account
from portal.content.template_words import OWN_LANGUAGE, TemplateWords
from portal.core.column_types import STRICT, BigIntKey, Flag, Json, Millis
from portal.core.extensions import Base, db


class SavedDraft(Base):
    """The one draft of a template, which may be invalid. `saved_at_ms` grows with each save.

    `base_version` is the version that the edit began with. `sms_expiry_hours` and `tags` are as typed.
    `variants` has the subject and the body in each further language.
    """

    __tablename__ = "template_draft"
    __table_args__ = (STRICT,)

    template_id: Mapped[int] = mapped_column(
        BigIntKey, ForeignKey("template.id"), primary_key=True, autoincrement=False
    )
    base_version: Mapped[int]
    name: Mapped[str] = mapped_column(Text)
    subject: Mapped[str] = mapped_column(Text)
    body: Mapped[str] = mapped_column(Text)
    urgent: Mapped[bool] = mapped_column(Flag)
    sms_enabled: Mapped[bool] = mapped_column(Flag)
    sms_expiry_hours: Mapped[str] = mapped_column(Text)
    tags: Mapped[str] = mapped_column(Text)
    sensitive: Mapped[bool] = mapped_column(Flag, default=False, server_default="0")
    variants: Mapped[Any] = mapped_column(Json, default=dict, server_default="{}")
    saved_at_ms: Mapped[int] = mapped_column(Millis)
    saved_by_id: Mapped[int | None] = mapped_column(ForeignKey("account.id"))

    saved_by: Mapped[Account | None] = relationship()

    @property
    def all_words(self) -> tuple[TemplateWords, ...]:
        variants = (TemplateWords(language, *words) for language, words in sorted(self.variants.items()))
        return (TemplateWords(OWN_LANGUAGE, self.subject, self.body), *variants)


def find_draft(template_id: int) -> SavedDraft | None:
    return db.session.get(SavedDraft, template_id, populate_existing=True)


def draft_saved_at_ms(template_id: int) -> int:
    """Tells one state of the draft from another; 0 if there is none."""
    saved = find_draft(template_id)
    return saved.saved_at_ms if saved else 0


def templates_with_draft(template_ids: Collection[int]) -> set[int]:
    query = select(SavedDraft.template_id).where(SavedDraft.template_id.in_(template_ids))
    return set(db.session.scalars(query))


def saved_drafts() -> list[SavedDraft]:
    return list(db.session.scalars(select(SavedDraft).order_by(SavedDraft.template_id)))

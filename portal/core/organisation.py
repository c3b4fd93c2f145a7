"""Who runs the portal, as people see it: name, accent color and logo (ADR 34).

Every page and every message reads them anew, so a change has effect at once in every process.
"""

from dataclasses import dataclass

from flask import current_app
from sqlalchemy import LargeBinary, Row, Text, select, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.column_types import STRICT, BigIntKey, Millis
from portal.core.context import settings
from portal.core.extensions import Base, db

ROW_ID = 1
_LAST_READ_KEY = "last read organisation"


class OrganisationProfile(Base):
    """The only row, once something was saved. An empty name or color, or no logo, has its default."""

    __tablename__ = "organisation"
    __table_args__ = (STRICT,)

    id: Mapped[int] = mapped_column(BigIntKey, primary_key=True)
    name: Mapped[str] = mapped_column(Text, default="")
    text_name: Mapped[str] = mapped_column(Text, default="", server_default=text("''"))
    accent_color: Mapped[str] = mapped_column(Text, default="")
    logo_digest: Mapped[str | None] = mapped_column(Text)
    changed_at_ms: Mapped[int] = mapped_column(Millis)


class OrganisationLogo(Base):
    """An image, by the start of its SHA-256 digest. Emails refer to it, so a replaced one is kept."""

    __tablename__ = "organisation_logo"
    __table_args__ = (STRICT,)

    digest: Mapped[str] = mapped_column(Text, primary_key=True)
    content: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    media_type: Mapped[str] = mapped_column(Text)
    width: Mapped[int]
    height: Mapped[int]
    description: Mapped[str] = mapped_column(Text)
    added_at_ms: Mapped[int] = mapped_column(Millis)


@dataclass(frozen=True)
class Logo:
    digest: str
    width: int
    height: int
    description: str

    @property
    def is_square(self) -> bool:
        """Nearly: it can be the icon of a browser tab."""
        return 0.8 <= self.width / self.height <= 1.25


@dataclass(frozen=True)
class Organisation:
    """`saved_name` was set on the page; without one, `name` is that of `PORTAL_ORGANISATION`.

    `saved_text_name` is what texts begin with instead of the name.
    """

    name: str
    saved_name: str = ""
    accent_color: str = ""
    logo: Logo | None = None
    changed_at_ms: int = 0
    saved_text_name: str = ""

    @property
    def text_name(self) -> str:
        return self.saved_text_name or self.name


def current_organisation() -> Organisation:
    row = db.session.connection().execute(_QUERY).first()
    organisation = _organisation(row) if row else Organisation(settings().organisation)
    current_app.extensions[_LAST_READ_KEY] = organisation
    return organisation


def last_read_organisation() -> Organisation:
    """For when the database may be what fails."""
    read: Organisation | None = current_app.extensions.get(_LAST_READ_KEY)
    return read or Organisation(settings().organisation)


def find_logo(digest: str) -> Row[bytes, str] | None:
    """Content and media type."""
    query = select(OrganisationLogo.content, OrganisationLogo.media_type)
    return db.session.execute(query.where(OrganisationLogo.digest == digest)).first()


def _organisation(row: Row[str, str, int, str, str, int, int, str]) -> Organisation:
    name, accent_color, changed_at_ms, text_name, digest, width, height, description = row
    logo = Logo(digest, width, height, description) if digest else None
    return Organisation(name or settings().organisation, name, accent_color, logo, changed_at_ms, text_name)


_QUERY = select(
    OrganisationProfile.name,
    OrganisationProfile.accent_color,
    OrganisationProfile.changed_at_ms,
    OrganisationProfile.text_name,
    OrganisationLogo.digest,
    OrganisationLogo.width,
    OrganisationLogo.height,
    OrganisationLogo.description,
).outerjoin(OrganisationLogo, OrganisationLogo.digest == OrganisationProfile.logo_digest)

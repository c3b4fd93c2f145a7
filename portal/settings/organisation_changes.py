"""Change name, name in texts, accent color and logo of the organisation, with their history (ADR 34)."""

import hashlib

from sqlalchemy import delete

from portal.core.errors import InvalidInput
from portal.core.extensions import db
from portal.core.organisation import (
    ROW_ID,
    Organisation,
    OrganisationLogo,
    OrganisationProfile,
    current_organisation,
)
from portal.core.rules.text_input import clean_line
from portal.core.statements import insert_if_missing, upsert
from portal.core.transaction import transaction
from portal.core.translation import N_
from portal.core.translation import gettext as _
from portal.messages.rules.named_texts import MAX_SHORT_NAME
from portal.settings.rules import accent_color, logo_image
from portal.settings.rules.accent_color import AccentColorError
from portal.settings.rules.logo_image import LogoError
from portal.settings.tables.setting_values import SettingChange, add_setting_change, lock_settings

NAME, TEXT_NAME = "OrganizationName", "OrganizationNameInTexts"
ACCENT_COLOR, LOGO = "OrganizationAccentColor", "OrganizationLogo"
SETTINGS = (NAME, TEXT_NAME, ACCENT_COLOR, LOGO)
"""Names in the history of the settings."""
MAX_NAME_LENGTH = 60
_CONFLICT = N_(
    "Somebody else changed the organization while you were editing it. Your input is kept below. Check it, then save "
    "again."
)
_DIGEST_LENGTH = 32


def save_profile(
    name: str, color: str, base_ms: int | None, author_id: int | None, now_ms: int, text_name: str | None = None
) -> None:
    """An empty name, color or name in texts means the default; None leaves the latter as it is.

    `base_ms` is when the values were changed that editing began with. Raises `InvalidInput` for the fields `name`,
    `text_name`, `accent_color` and `base_ms`.
    """
    name, text_name = clean_line(name), None if text_name is None else clean_line(text_name)
    color = _checked(name, text_name or "", color)
    with transaction():
        lock_settings()
        before = current_organisation()
        if base_ms not in (None, before.changed_at_ms):
            raise InvalidInput({"base_ms": _(_CONFLICT)})
        _record(NAME, before.saved_name, name, author_id, now_ms)
        _record(ACCENT_COLOR, before.accent_color, color, author_id, now_ms)
        text_name = before.saved_text_name if text_name is None else text_name
        _record(TEXT_NAME, before.saved_text_name, text_name, author_id, now_ms)
        _store(before, now_ms, name=name, text_name=text_name, accent_color=color)


def save_logo(content: bytes, author_id: int | None, now_ms: int) -> None:
    """Raises `InvalidInput` for the field `logo`."""
    try:
        image = logo_image.read_logo(content)
    except LogoError as error:
        raise InvalidInput({"logo": str(error)}) from error
    digest = hashlib.sha256(content).hexdigest()[:_DIGEST_LENGTH]
    details = {"media_type": image.media_type, "width": image.width, "height": image.height}
    row = {"digest": digest, "content": content, "description": image.description, "added_at_ms": now_ms, **details}
    with transaction():
        lock_settings()
        before = current_organisation()
        insert_if_missing(OrganisationLogo, row, ["digest"])
        _record(LOGO, _logo_label(before), f"{image.description} ({digest[:8]})", author_id, now_ms)
        _store(before, now_ms, logo_digest=digest)


def remove_logo(author_id: int | None, now_ms: int) -> None:
    """Deletes earlier logos too, so that emails already sent stop showing them."""
    with transaction():
        lock_settings()
        before = current_organisation()
        _record(LOGO, _logo_label(before), "", author_id, now_ms)
        _store(before, now_ms, logo_digest=None)
        db.session.execute(delete(OrganisationLogo))


def _checked(name: str, text_name: str, color: str) -> str:
    """The color in its stored form."""
    lengths = {"name": (name, MAX_NAME_LENGTH), "text_name": (text_name, MAX_SHORT_NAME)}
    errors = {
        field: _("Use %(limit)s characters or fewer. You have used %(used)s.", limit=limit, used=len(text))
        for field, (text, limit) in lengths.items()
        if len(text) > limit
    }
    try:
        color = accent_color.parse_color(color) if color.strip() else ""
        if color:
            accent_color.build_accent(color)
    except AccentColorError as error:
        errors["accent_color"] = str(error)
    if errors:
        raise InvalidInput(errors)
    return color


def _record(setting: str, before: str, after: str, author_id: int | None, now_ms: int) -> None:
    if before != after:
        values = {"old_value": before, "new_value": after, "at_ms": now_ms, "changed_by_id": author_id}
        add_setting_change(SettingChange(name=setting, source="page", **values))


def _store(before: Organisation, now_ms: int, **values: str | None) -> None:
    stored = {"name": before.saved_name, "text_name": before.saved_text_name, "accent_color": before.accent_color}
    digest = before.logo.digest if before.logo else None
    row = {"id": ROW_ID, **stored, "logo_digest": digest, "changed_at_ms": now_ms, **values}
    upsert(OrganisationProfile, row, ["id"])


def _logo_label(organisation: Organisation) -> str:
    return f"{organisation.logo.description} ({organisation.logo.digest[:8]})" if organisation.logo else ""

"""A recipient file as the audience of a send: `{"recipient_file": id}`."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, select, update

from portal.content.message_templates import required_fields
from portal.content.tables.templates import TemplateVersion
from portal.core.errors import InvalidInput
from portal.core.extensions import db
from portal.core.statements import updated_count
from portal.core.translation import N_
from portal.core.translation import gettext as _
from portal.sends.tables import audience as audiences
from portal.sends.tables.recipient_files import RecipientFile, RecipientFileState
from portal.sends.tables.sends import Send

MAX_AGE_MS = 30 * 86_400_000
"""How long the values in a file can be used, as `_VALUES_DELETED` says too."""
_VALUES_DELETED = N_("The values in this file were deleted after 30 days. Upload the file again.")


def file_of(audience: Mapping[str, Any]) -> RecipientFile | None:
    return db.session.get(RecipientFile, audience["recipient_file"]) if "recipient_file" in audience else None


def file_fields(audience: Mapping[str, Any]) -> tuple[str, ...]:
    """The `data.…` names of which the audience brings values for each person."""
    file = file_of(audience)
    return tuple(file.fields) if file else ()


def file_problem(version: TemplateVersion, audience: Mapping[str, Any]) -> str | None:
    """Why a send of this version cannot go to the people in the file. None for any other audience."""
    if "recipient_file" not in audience:
        return None
    file = file_of(audience)
    if file is None or file.version.template_id != version.template_id:
        return _("This file was not uploaded for this template. Upload it again.")
    if file.state != RecipientFileState.CHECKED:
        return _("The file has not been checked. Wait for the check, or upload the file again.")
    if file.values_deleted_at_ms:
        return _(_VALUES_DELETED)
    if added := [name for name in required_fields(version) if name in _optional_fields(file)]:
        return _(
            "The template has changed: every person needs a value for %(names)s now. Upload the file again.",
            names=", ".join(added),
        )
    return None if audiences.count_recipients(audience) else _("The file has no row that can be sent to.")


def is_checked(version: TemplateVersion, audience: Mapping[str, Any], data: Mapping[str, str]) -> bool:
    """Whether the check of the file has made every message with this version and these values."""
    file = file_of(audience)
    return file is not None and file.template_version_id == version.id and file.data == data


def _optional_fields(file: RecipientFile) -> set[str]:
    """The columns whose cells could be blank when the file was checked."""
    return set(file.fields) - set(required_fields(file.version)) - {name for name, value in file.data.items() if value}


def record_use(audience: Mapping[str, Any], send_id: int, now_ms: int, shown_send_id: int | None = None) -> None:
    """Inside the transaction that creates the send. Raises `InvalidInput` if the values are too old.

    `shown_send_id` is the latest send of the file that its author was asked about, 0 for none. Another one since then
    raises `InvalidInput` too.
    """
    if "recipient_file" not in audience:
        return
    query = update(RecipientFile).where(RecipientFile.id == audience["recipient_file"])
    if shown_send_id is not None:
        query = query.where(func.coalesce(RecipientFile.send_id, 0) == shown_send_id)
    if not updated_count(query.where(RecipientFile.created_at_ms > now_ms - MAX_AGE_MS).values(send_id=send_id)):
        raise InvalidInput({"audience": _use_problem(audience["recipient_file"], shown_send_id)})


def _use_problem(file_id: int, shown_send_id: int | None) -> str:
    latest_id = db.session.scalar(select(RecipientFile.send_id).where(RecipientFile.id == file_id))
    if shown_send_id is None or latest_id is None or latest_id == shown_send_id:
        return _(_VALUES_DELETED)
    author = db.session.get_one(Send, latest_id).created_by
    name = author.name if author else _("Somebody")
    return _("%(name)s sent to the people in this file meanwhile. Check that send before you send again.", name=name)

"""Upload a recipient file, for a worker to check (docs/reliability.md#recipient-files)."""

import hashlib
from collections.abc import Mapping

from sqlalchemy import update

from portal.content.tables.templates import TemplateVersion
from portal.core import audit_log
from portal.core.context import settings
from portal.core.errors import ActionRefused
from portal.core.rules.csv_input import CsvError
from portal.core.rules.text_input import clean_line
from portal.core.statements import updated_count
from portal.core.transaction import transaction
from portal.core.translation import gettext as _
from portal.gateways import queue
from portal.sends import send_values
from portal.sends.tables.recipient_files import RecipientFile, RecipientFileState

JOB = "check_recipient_file"
_MAX_NAME_LENGTH = 120


def upload_file(
    version: TemplateVersion,
    file_name: str,
    content: bytes,
    data: Mapping[str, str],
    author_id: int | None,
    now_ms: int,
) -> int:
    """`data` are values for everyone. Raises `CsvError` for an empty file."""
    if not content.strip():
        raise CsvError(_("The file is empty."))
    file = RecipientFile(
        template_version_id=version.id,
        file_name=clean_line(file_name.replace("\\", "/").rpartition("/")[2])[:_MAX_NAME_LENGTH] or "file",
        digest=hashlib.sha256(content).hexdigest(),
        content=content,
        data=send_values.complete_values(version, data),
        created_by_id=author_id,
        created_at_ms=now_ms,
    )
    detail = {"file": file.file_name, "template": version.template.key, "version": version.number}
    with transaction() as session:
        session.add(file)
        session.flush()
        file_id = file.id
        audit_log.record_audit_entry("recipient_file_uploaded", f"file {file_id}", author_id, now_ms, **detail)
    queue.enqueue(settings().redis_url, JOB, file_id)
    return file_id


def retry_check(file_id: int, actor_id: int, now_ms: int) -> None:
    """Raises `ActionRefused` if the check has ended otherwise than by being given up."""
    states = (RecipientFileState.PENDING, RecipientFileState.FAILED)
    query = update(RecipientFile).where(RecipientFile.id == file_id, RecipientFile.state.in_(states))
    again = {"state": RecipientFileState.PENDING, "attempts": 0, "problem": "", "finished_at_ms": None}
    with transaction():
        if not updated_count(query.values(**again)):
            raise ActionRefused(_("This file has been checked."))
        audit_log.record_audit_entry("job_retried", f"recipient file {file_id}", actor_id, now_ms)
    queue.enqueue(settings().redis_url, JOB, file_id)

"""Recipient files for tests: uploaded, and checked as a worker would."""

from portal.content.message_templates import TemplateDraft, create_template
from portal.content.tables.templates import find_template, find_template_version
from portal.core.extensions import db
from portal.sends import recipient_file_check, recipient_uploads
from portal.sends.tables.recipient_files import RecipientFile
from tests.support.scenario import now_ms

EXAM_BODY = 'Your exam is on {{ data.exam_date | date: "%B %-d, %Y" }}. The fee is {{ data.fee | default: "none" }}.'
EXAM_SUBJECT = "Exam for {{ name }} in {{ data.city }}"


def add_exam_template(body: str = EXAM_BODY, subject: str = EXAM_SUBJECT) -> str:
    create_template(TemplateDraft("exam", "Exam", subject, body, sms_enabled=True), None, now_ms())
    return "exam"


def upload(content: str | bytes, name: str = "exams.csv", at_ms: int | None = None, **data: str) -> int:
    """For the template of `add_exam_template`."""
    template = find_template("exam")
    assert template
    raw = content.encode() if isinstance(content, str) else content
    version = find_template_version(template)
    return recipient_uploads.upload_file(version, name, raw, data, None, at_ms or now_ms())


def check(file_id: int) -> RecipientFile:
    recipient_file_check.check_file(file_id, now_ms)
    return stored(file_id)


def stored(file_id: int) -> RecipientFile:
    db.session.rollback()
    return db.session.get_one(RecipientFile, file_id, populate_existing=True)


def upload_checked(content: str | bytes, name: str = "exams.csv", at_ms: int | None = None, **data: str) -> int:
    return check(upload(content, name, at_ms, **data)).id

"""Data that fills pages: a template with a draft, two versions and tags; checked imports of attributes and accounts."""

from dataclasses import replace
from typing import Any

from flask import Flask

from portal.consent.tables.import_tasks import ImportTask, ImportTaskKind, ImportTaskState
from portal.content.message_templates import draft_of, save_template
from portal.content.tables.saved_drafts import SavedDraft
from portal.content.tables.templates import Template, find_template_version
from portal.content.template_drafts import save_draft
from portal.content.template_words import TemplateWords
from portal.content.topic_management import add_topic
from portal.core.audit_log import AuditEntry
from portal.core.extensions import db
from portal.core.transaction import transaction
from portal.records.exports import create_export, run_export
from tests.support import scenario
from tests.support.web_client import NOW_MS

GREEK_DRAFT: dict[str, Any] = {
    "name": "Ανακοίνωση",
    "subject": "Ανακοίνωση “€”",
    "body": "Καλη\u200bμέρα.",
    "tags": "Νέα",
    "variants": (TemplateWords("es", "Είδηση", "Καλησπέρα."),),
}
"""Words that no test takes for untranslated ones."""


def add_export(now_ms: int) -> None:
    """Of what the send has made so far. The audit log is left as it was, because many tests read its last entry."""
    export_id = create_export("", True, "csv", "Ερώτηση 7", "UTC", 5, now_ms)
    run_export(export_id, lambda: now_ms)
    scenario.forget_audit_entries(AuditEntry.action == "communications_exported")


def add_topic_for_pages() -> None:
    """Of the only template. The audit log is left as it was."""
    add_topic("Εξετάσεις", "Πότε είναι η εξέταση.", [1], None, NOW_MS)
    scenario.forget_audit_entries(AuditEntry.action == "topic_added")


def add_template_draft(app: Flask) -> None:
    """To the template that the fixture `sent_communications` makes. The draft began with the version before."""
    with app.app_context():
        template = db.session.get_one(Template, 1)
        content = draft_of(find_template_version(template))
        save_draft(1, replace(content, **GREEK_DRAFT), None, NOW_MS, 1, 0)
        save_template(1, replace(content, body="Hello again.", tags="News"), None, NOW_MS)
        assert db.session.get_one(SavedDraft, 1).base_version == 1


def add_attribute_import() -> None:
    """Checked, and waiting for somebody to confirm it."""
    change = {"row": 2, "account": "P-1", "attribute": "Περιοχή", "after": "Νότος"}
    changes = [change | {"before": ""}, change | {"row": 3, "before": "Βορράς"}]
    counts = {"accounts": 60, "new": 40, "changed": 20, "unchanged": 3, "warnings": ["Ελέγξτε"]}
    columns = {"kind": ImportTaskKind.ATTRIBUTES, "state": ImportTaskState.CHECKED, "file_name": "αρχείο"}
    with transaction() as session:
        task = ImportTask(**columns, preview=counts | {"changes": changes}, content="", ip="", user_agent="")
        task.created_at_ms = NOW_MS
        session.add(task)


def add_account_import() -> None:
    """Checked, with rows of each kind."""
    change = {"row": 2, "account": "P-1", "field": "name", "before": "Ελένη", "after": "Μαρία"}
    added = change | {"row": 3, "field": "phone", "before": "", "after": "+12025550155"}
    preview = {
        **{"new": 30, "changed": 40, "unchanged": 3, "errors": 2, "more_errors": 7, "warnings": ["Ελέγξτε"]},
        "changes": [change, added],
        "created": [{"row": 4, "account": "N-1", "name": "Νέος", "email": "n@example.org"}],
        "row_errors": [{"row": 5, "column": "C, email", "message": "Λάθος"}],
    }
    columns = {"kind": ImportTaskKind.ACCOUNTS, "state": ImportTaskState.CHECKED, "file_name": "αρχείο"}
    with transaction() as session:
        task = ImportTask(**columns, preview=preview, content="", ip="", user_agent="")
        task.created_at_ms = NOW_MS
        session.add(task)

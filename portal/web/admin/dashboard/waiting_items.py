"""What waits for a person, each with its count and its page."""

from collections.abc import Iterator
from dataclasses import dataclass

from flask import url_for

from portal.consent.tables.import_tasks import ImportTask, ImportTaskKind, ImportTaskState
from portal.core.translation import gettext as _
from portal.core.translation import ngettext
from portal.monitoring.current_work import WaitingWork
from portal.sends.tables.recipient_files import RecipientFile
from portal.web.layout import is_sms_visible

_IMPORT_PAGES = {
    ImportTaskKind.ATTRIBUTES.value: "admin_attribute_import.show",
    ImportTaskKind.ACCOUNTS.value: "admin_account_import.show",
}
"""Those that are not about consent."""


@dataclass(frozen=True)
class WaitingItem:
    label: str
    url: str


def waiting_items(waiting: WaitingWork, drafts: int) -> Iterator[WaitingItem]:
    if waiting.approvals:
        label = ngettext("%(num)s send to approve", "%(num)s sends to approve", waiting.approvals)
        yield WaitingItem(label, url_for("admin_sends.listing"))
    if waiting.replies:
        label = ngettext("%(num)s reply to review", "%(num)s replies to review", waiting.replies)
        yield WaitingItem(label, url_for("admin_replies.listing"))
    if waiting.unknown_texts and is_sms_visible():
        label = ngettext(
            "%(num)s text: outcome not known yet", "%(num)s texts: outcome not known yet", waiting.unknown_texts
        )
        yield WaitingItem(label, url_for("admin_unresolved.listing"))
    for file in waiting.files:
        yield WaitingItem(_file_label(file), url_for("admin_recipient_files.show", file_id=file.id))
    for task in waiting.imports:
        endpoint = _IMPORT_PAGES.get(task.kind, "admin_imports.show")
        if task.kind in _IMPORT_PAGES or is_sms_visible():
            yield WaitingItem(_import_label(task), url_for(endpoint, task_id=task.id))
    if drafts:
        label = ngettext("%(num)s draft of a template", "%(num)s drafts of templates", drafts)
        yield WaitingItem(label, url_for("admin_templates.listing"))


def _file_label(file: RecipientFile) -> str:
    if not file.bad_rows:
        return _("File %(name)s cannot be used", name=file.file_name)
    return ngettext(
        "File %(name)s: %(num)s row with errors",
        "File %(name)s: %(num)s rows with errors",
        file.bad_rows,
        name=file.file_name,
    )


def _import_label(task: ImportTask) -> str:
    if task.state == ImportTaskState.CHECKED:
        return _("Import %(id)s is checked and can be confirmed", id=str(task.id))
    return _("Import %(id)s changed nothing", id=str(task.id))

"""System → audit log: who changed how the portal sends, when, and what."""

from flask import Blueprint, render_template, request

from portal.core.clock import now_ms
from portal.operations import audit_trail
from portal.operations.audit_trail import AuditCursor
from portal.operations.rules.audit_labels import ACTION_LABELS
from portal.web.access import allow
from portal.web.request_input import parse_id, query_text

pages = Blueprint("sysadmin_audit", __name__, url_prefix="/SysAdmin/AuditLog")
_PAGE_SIZE = 50


@pages.get("")
@allow("sysadmin")
def page() -> str:
    action = query_text("action")
    action = action if action in ACTION_LABELS else ""
    before = _cursor_from_query()
    audit_page = audit_trail.read_audit_page(action, before, _PAGE_SIZE, now_ms())
    older = (
        f"{audit_page.next_cursor.before_entry_id or ''}.{audit_page.next_cursor.before_change_id or ''}"
        if audit_page.next_cursor
        else None
    )
    page = {"rows": audit_page.lines, "next_before": older, "is_first": before == AuditCursor()}
    return render_template("sysadmin/audit/page.html", page=page, kinds=ACTION_LABELS, action=action)


def _cursor_from_query() -> AuditCursor:
    """`before=12.7`: the last audit entry and the last setting change on the page before."""
    entry, _, change = request.args.get("before", "").partition(".")
    return AuditCursor(parse_id(entry), parse_id(change))

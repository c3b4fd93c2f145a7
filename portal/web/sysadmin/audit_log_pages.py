"""System → audit log: who did what, and when."""

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
    entry_id, _, change_id = request.args.get("before", "").partition(".")
    before = AuditCursor(parse_id(entry_id), parse_id(change_id))
    lines, cursor = audit_trail.read_audit_page(action, before, _PAGE_SIZE, now_ms())
    next_before = f"{cursor.entry_id or ''}.{cursor.change_id or ''}" if cursor else None
    page = {"rows": lines, "next_before": next_before, "is_first": before == AuditCursor()}
    return render_template("sysadmin/audit/page.html", page=page, action_labels=ACTION_LABELS, action=action)

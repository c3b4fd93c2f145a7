"""System → audit log: who changed how the portal sends, when, and what."""

from flask import Blueprint, render_template, request

from portal.actions import audit
from portal.actions.audit import Place
from portal.clock import now_ms
from portal.domain.audit_words import KINDS
from portal.web.access import allow
from portal.web.parsing import as_id, query_words

pages = Blueprint("sysadmin_audit", __name__, url_prefix="/SysAdmin/AuditLog")
_PAGE = 50


@pages.get("")
@allow("sysadmin")
def page() -> str:
    action = query_words("action")
    action = action if action in KINDS else ""
    before = _before()
    found = audit.read(action, before, _PAGE, now_ms())
    older = f"{found.older.entry_id or ''}.{found.older.change_id or ''}" if found.older else None
    shown = {"rows": found.lines, "older": older, "newest": before == Place()}
    return render_template("sysadmin/audit/page.html", page=shown, kinds=KINDS, action=action)


def _before() -> Place:
    """As in `12.7`: the entry and the change of a setting that the page before ended with."""
    entry, _, change = request.args.get("before", "").partition(".")
    return Place(as_id(entry), as_id(change))

"""System → audit log: who did what, and when."""

from flask import Blueprint, render_template, request

from portal.core.audit_log import AuditFilter
from portal.core.clock import now_ms
from portal.core.rules.time_format import start_of_day_ms
from portal.core.translation import gettext as _
from portal.operations import audit_trail
from portal.operations.audit_trail import AuditCursor
from portal.operations.rules.audit_labels import ACTION_LABELS
from portal.web.access import allow
from portal.web.request_input import parse_id, query_text
from portal.web.time_display import current_time_zone

pages = Blueprint("sysadmin_audit", __name__, url_prefix="/SysAdmin/AuditLog")
_PAGE_SIZE = 50


@pages.get("")
@allow("sysadmin")
def page() -> str:
    filters = _filters()
    entry_id, _dot, change_id = request.args.get("before", "").partition(".")
    before = AuditCursor(parse_id(entry_id), parse_id(change_id))
    lines, cursor = audit_trail.read_audit_page(filters["action"], _filter(filters), before, _PAGE_SIZE, now_ms())
    next_before = f"{cursor.entry_id or ''}.{cursor.change_id or ''}" if cursor else None
    page = {"rows": lines, "next_before": next_before, "is_first": before == AuditCursor()}
    labels = {action: _(label) for action, label in ACTION_LABELS.items()}
    return render_template("sysadmin/audit/page.html", page=page, action_labels=labels, filters=filters)


def _filters() -> dict[str, str]:
    """Unknown actions and invalid days are ignored."""
    action, zone = query_text("action"), current_time_zone().key
    days = {name: query_text(name) for name in ("from", "to")}
    return {
        "q": query_text("q"),
        "action": action if action in ACTION_LABELS else "",
        **{name: day if start_of_day_ms(day, zone) is not None else "" for name, day in days.items()},
    }


def _filter(filters: dict[str, str]) -> AuditFilter:
    zone = current_time_zone().key
    return AuditFilter(
        actor_ids=audit_trail.actors_matching(filters["q"]),
        since_ms=start_of_day_ms(filters["from"], zone),
        until_ms=start_of_day_ms(filters["to"], zone, days_later=1),
    )

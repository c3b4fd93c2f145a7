"""System → audit log: who did what, and when; whether somebody changed it; and exports."""

from collections.abc import Sequence

from flask import Blueprint, Response, flash, redirect, render_template, request, stream_with_context, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user

from portal.core.audit_log import AuditFilter
from portal.core.clock import now_ms
from portal.core.log_integrity import log_macs
from portal.core.rules.time_format import format_utc, start_of_day_ms
from portal.core.translation import gettext as _
from portal.operations import audit_trail
from portal.operations.audit_trail import AuditCursor
from portal.operations.logs import audit_export
from portal.operations.logs.log_heads import verify_against_noted
from portal.operations.logs.log_verification import LOG_LABELS
from portal.operations.rules.audit_groups import GROUP_LABELS, actions_named, group_of
from portal.operations.rules.audit_labels import ACTION_LABELS
from portal.operations.tables.log_verifications import last_verifications
from portal.web.access import allow
from portal.web.languages import keep_language
from portal.web.request_input import parse_id, query_text
from portal.web.time_display import current_time_zone

pages = Blueprint("sysadmin_audit", __name__, url_prefix="/SysAdmin/AuditLog")
MAX_ENTRIES_VERIFIED = 100_000
"""A page verifies this many within a few seconds. The command line, and the daily check, verify any number."""
_PAGE_SIZE = 50


@pages.get("")
@allow("sysadmin")
def page() -> str:
    filters = _filters()
    entry_id, _dot, change_id = request.args.get("before", "").partition(".")
    before = AuditCursor(parse_id(entry_id), parse_id(change_id))
    actions = actions_named(filters["action"])
    lines, cursor = audit_trail.read_audit_page(actions, _filter(filters), before, _PAGE_SIZE, now_ms())
    next_before = f"{cursor.entry_id or ''}.{cursor.change_id or ''}" if cursor else None
    return render_template(
        "sysadmin/audit/page.html",
        page={"rows": lines, "next_before": next_before, "is_first": before == AuditCursor()},
        action_groups=_action_groups(),
        filters=filters,
        verifications=[
            (_(LOG_LABELS[log]), row, _(row.reason) if row.reason else "")
            for log, row in sorted(last_verifications().items())
        ],
        can_verify=_entry_count() <= MAX_ENTRIES_VERIFIED,
    )


@pages.post("/Verify")
@allow("sysadmin")
def verify() -> ResponseReturnValue:
    if _entry_count() > MAX_ENTRIES_VERIFIED:
        flash(_("The logs are too long to verify on a page. Run on the server: portal audit verify"), "error")
    elif any(verdict.fault for verdict in verify_against_noted(now_ms())):
        flash(_("A log was changed in the database. See below which entry does not fit."), "error")
    else:
        flash(_("All entries are as the portal wrote them."))
    return redirect(url_for(".page"))


@pages.get("/Export.<any(csv, jsonl):file_format>")
@allow("sysadmin")
def export(file_format: str) -> Response:
    """What the filters find. HEAD hands nothing out, so the audit log has no entry of it."""
    filters, at_ms = _filters(), now_ms()
    name = f"audit-log-{format_utc(at_ms)[:10]}.{file_format}"
    headers = {"Content-Disposition": f"attachment; filename={name}"}
    if request.method == "HEAD":
        return Response(mimetype=audit_export.FORMATS[file_format], headers=headers)
    audit_export.record_export(file_format, filters, current_user.id, at_ms)
    lines = audit_export.export_lines(actions_named(filters["action"]), _filter(filters), file_format, at_ms)
    streamed = keep_language(stream_with_context(lines))
    return Response(streamed, mimetype=audit_export.FORMATS[file_format], headers=headers)


def _entry_count() -> int:
    return sum(int(head.position) for head in log_macs.stored_heads())


def _action_groups() -> list[tuple[str, str, Sequence[tuple[str, str]]]]:
    """The key and the label of each group, and those of its actions."""
    labels = [(action, _(label)) for action, label in ACTION_LABELS.items()]
    grouped = {key: [pair for pair in labels if group_of(pair[0]) == key] for key in GROUP_LABELS}
    return [(key, _(label), grouped[key]) for key, label in GROUP_LABELS.items() if grouped[key]]


def _filters() -> dict[str, str]:
    """Unknown actions and invalid days are ignored."""
    action, zone = query_text("action"), current_time_zone().key
    days = {name: query_text(name) for name in ("from", "to")}
    return {
        "q": query_text("q"),
        "action": action if actions_named(action) else "",
        "subject": query_text("subject"),
        **{name: day if start_of_day_ms(day, zone) is not None else "" for name, day in days.items()},
    }


def _filter(filters: dict[str, str]) -> AuditFilter:
    zone = current_time_zone().key
    return AuditFilter(
        actor_ids=audit_trail.actors_matching(filters["q"]),
        subjects=audit_trail.subjects_named(filters["subject"]),
        since_ms=start_of_day_ms(filters["from"], zone),
        until_ms=start_of_day_ms(filters["to"], zone, days_later=1),
    )

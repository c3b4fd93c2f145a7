"""Administration → Consent: search, export and verify the ledger."""

from flask import Blueprint, Response, abort, render_template, request, stream_template, stream_with_context
from flask.typing import ResponseReturnValue
from flask_security import current_user

from portal.accounts.tables.accounts import Account
from portal.consent import consent_export_files
from portal.consent.consent_export import ConsentExport, build_export, describe_events
from portal.consent.ledger_verification import verify_chain
from portal.consent.rules.consent_labels import EVENT_LABELS
from portal.consent.tables import ledger, ledger_search
from portal.consent.tables.ledger import ConsentEvent
from portal.consent.tables.ledger_search import LedgerFilter
from portal.core.clock import now_ms
from portal.core.context import settings
from portal.core.extensions import db
from portal.core.rules.phone import is_e164
from portal.core.rules.time_format import format_local, format_utc, start_of_day_ms
from portal.core.translation import N_
from portal.core.translation import gettext as _
from portal.web.access import allow
from portal.web.languages import keep_language
from portal.web.organisation_files import page_organisation
from portal.web.paging import Sort, requested_order, sorted_page
from portal.web.request_input import is_htmx_request, query_id, query_text
from portal.web.template_filters import display_phone
from portal.web.time_display import current_time_zone

pages = Blueprint("admin_consent", __name__, url_prefix="/Admin/Consent")
MAX_EVENTS_VERIFIED = 100_000
"""A page verifies this many events in about 1.5 seconds. The command line verifies any number."""
_PAGE_SIZE = 40
_SORTS = (
    Sort("when", N_("When"), (ConsentEvent.id,), descending=True),
    Sort("number", N_("Number"), (ConsentEvent.number, ConsentEvent.id)),
)
_MIMETYPES = {"csv": "text/csv", "json": "application/json"}


@pages.get("")
@allow("admin")
def listing() -> ResponseReturnValue:
    filters, order = _filters_from_query(), requested_order(*_SORTS)
    page = sorted_page(order, ledger_search.ledger_page(_ledger_filter(filters), order.keyset(_PAGE_SIZE)))
    template = "admin/consent/_list.html" if is_htmx_request() else "admin/consent/index.html"
    account = db.session.get(Account, query_id("account") or 0)
    kinds = {kind: _(label.text) for kind, label in EVENT_LABELS.items()}
    text = render_template(
        template, page=page, events=describe_events(page.rows), filters=filters, kinds=kinds, account=account
    )
    return text, {"Vary": "HX-Request"}


@pages.get("/Verify")
@allow("admin")
def verification() -> ResponseReturnValue:
    event_count = ledger.count_events()
    result = verify_chain() if event_count <= MAX_EVENTS_VERIFIED else None
    template = "admin/consent/_verdict.html" if is_htmx_request() else "admin/consent/verify.html"
    text = render_template(template, verification=result, event_count=event_count, limit=MAX_EVENTS_VERIFIED)
    return text, {"Vary": "HX-Request"}


@pages.get("/Evidence/<any(csv, json, print):file_format>")
@allow("admin")
def export(file_format: str) -> ResponseReturnValue:
    """Export what the ledger page shows, or one number, or one account, in the order of the ledger.

    HEAD hands nothing out, so the audit log has no entry of it.
    """
    filters, number = _filters_from_query(), query_text("number")
    if number and not is_e164(number):
        abort(404)
    if request.method == "HEAD":
        return Response(mimetype=_MIMETYPES.get(file_format))
    subject, time_zone = _describe_export(filters, number), current_time_zone().key
    values = subject, file_format, current_user.external_id, time_zone, now_ms(), current_user.id
    consent_export = build_export(_ledger_filter(filters, number), *values)
    return _print_page(consent_export) if file_format == "print" else _download(consent_export, file_format)


def _download(consent_export: ConsentExport, file_format: str) -> Response:
    write = consent_export_files.export_csv if file_format == "csv" else consent_export_files.export_json
    name = f"consent-evidence-{format_utc(consent_export.exported_at_ms)[:10]}.{file_format}"
    headers = {"Content-Disposition": f"attachment; filename={name}"}
    lines = keep_language(stream_with_context(write(consent_export)))
    return Response(lines, mimetype=_MIMETYPES[file_format], headers=headers)


def _print_page(consent_export: ConsentExport) -> Response:
    """The template gets all its values, because the request and its user are gone while it streams."""
    page = stream_template(
        "admin/consent/print.html",
        export=consent_export,
        format_utc=format_utc,
        format_local=lambda at_ms: format_local(at_ms, consent_export.time_zone),
        organisation=page_organisation().name,
    )
    return Response(keep_language(page))


def _filters_from_query() -> dict[str, str]:
    """Invalid kinds, days and accounts are ignored."""
    kind, zone = query_text("kind"), current_time_zone().key
    days = {name: query_text(name) for name in ("from", "to")}
    return {
        "q": query_text("q"),
        "kind": kind if kind in EVENT_LABELS else "",
        **{name: day if start_of_day_ms(day, zone) is not None else "" for name, day in days.items()},
        "account": str(query_id("account") or ""),
    }


def _ledger_filter(filters: dict[str, str], number: str = "") -> LedgerFilter:
    zone = current_time_zone().key
    return LedgerFilter(
        query=filters["q"],
        region=settings().region,
        kind=filters["kind"],
        number=number,
        account_id=int(filters["account"]) if filters["account"] else None,
        since_ms=start_of_day_ms(filters["from"], zone),
        until_ms=start_of_day_ms(filters["to"], zone, days_later=1),
        since_day=filters["from"],
        until_day=filters["to"],
    )


def _describe_export(filters: dict[str, str], number: str) -> str:
    """Say what the export is about."""
    account = db.session.get(Account, int(filters["account"])) if filters["account"] else None
    parts = [
        _("the number %(phone)s (%(number)s)", phone=display_phone(number), number=number) if number else "",
        _("the account %(account)s, %(name)s", account=account.external_id, name=account.name) if account else "",
        f"“{filters['q']}”" if filters["q"] else "",
        _("events of the kind “%(kind)s”", kind=_(EVENT_LABELS[filters["kind"]].text)) if filters["kind"] else "",
        _("from %(day)s", day=filters["from"]) if filters["from"] else "",
        _("to %(day)s", day=filters["to"]) if filters["to"] else "",
    ]
    return ", ".join(filter(None, parts)) or _("the whole ledger")

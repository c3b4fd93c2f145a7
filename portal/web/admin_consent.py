"""Administration → consent: the ledger, looked through, exported and verified."""

from typing import Any

from flask import Blueprint, Response, abort, render_template, stream_template, stream_with_context
from flask.typing import ResponseReturnValue
from flask_security import current_user

from portal.actions import evidence_files
from portal.actions.evidence import Evidence, gather, tell
from portal.actions.ledger_check import verify
from portal.clock import now_ms
from portal.context import settings
from portal.domain.consent_words import KINDS
from portal.domain.moments import in_utc, in_zone, start_of_day_ms
from portal.domain.phone import is_e164
from portal.extensions import db
from portal.models import consent as ledger
from portal.models import consent_search
from portal.models.account import Account
from portal.models.consent_search import Sought
from portal.web.access import allow
from portal.web.display import friendly_phone, viewer_zone
from portal.web.paging import page_of
from portal.web.parsing import by_htmx, query_id, query_words

pages = Blueprint("admin_consent", __name__, url_prefix="/Admin/Consent")
MOST_WALKED = 100_000
"""Events that are walked for a page: about 1.5 seconds of work. The shell walks any number."""
_PAGE = 40
_MIMETYPES = {"csv": "text/csv", "json": "application/json"}


@pages.get("")
@allow("admin")
def listing() -> ResponseReturnValue:
    chosen, before = _chosen(), query_id("before")
    page = page_of(consent_search.page(_sought(chosen), before, _PAGE + 1), _PAGE, before)
    template = "admin/consent/_list.html" if by_htmx() else "admin/consent/index.html"
    account = db.session.get(Account, query_id("account") or 0)
    text = render_template(template, page=page, told=tell(page.rows), chosen=chosen, kinds=KINDS, account=account)
    return text, {"Vary": "HX-Request"}


@pages.get("/Verify")
@allow("admin")
def verification() -> ResponseReturnValue:
    events = ledger.count()
    verdict = verify() if events <= MOST_WALKED else None
    template = "admin/consent/_verdict.html" if by_htmx() else "admin/consent/verify.html"
    text = render_template(template, verdict=verdict, events=events, most=MOST_WALKED)
    return text, {"Vary": "HX-Request"}


@pages.get("/Evidence/<any(csv, json, print):form>")
@allow("admin")
def export(form: str) -> ResponseReturnValue:
    """What the ledger's page shows, or one number, or one account: all of it, in the order of the ledger."""
    chosen, number = _chosen(), query_words("number")
    if number and not is_e164(number):
        abort(404)
    found = gather(
        _sought(chosen, number), _about(chosen, number), form, current_user.external_id, viewer_zone().key, now_ms()
    )
    if form == "print":
        return Response(stream_template("admin/consent/print.html", **_printed(found)))
    return _file(found, form)


def _file(found: Evidence, form: str) -> Response:
    lines = evidence_files.as_csv(found) if form == "csv" else evidence_files.as_json(found)
    name = f"consent-evidence-{in_utc(found.made_at_ms)[:10]}.{form}"
    headers = {"Content-Disposition": f"attachment; filename={name}"}
    return Response(stream_with_context(lines), mimetype=_MIMETYPES[form], headers=headers)


def _printed(found: Evidence) -> dict[str, Any]:
    """Everything the page needs, so that nobody signed in is asked for while it streams."""
    return {
        "evidence": found,
        "in_utc": in_utc,
        "local": lambda at_ms: in_zone(at_ms, found.zone),
        "organisation": settings().organisation,
    }


def _chosen() -> dict[str, str]:
    """What is asked for; what is no kind, no day or no account counts as nothing."""
    kind, zone = query_words("kind"), viewer_zone().key
    days = {name: query_words(name) for name in ("from", "to")}
    return {
        "q": query_words("q"),
        "kind": kind if kind in KINDS else "",
        **{name: day if start_of_day_ms(day, zone) is not None else "" for name, day in days.items()},
        "account": str(query_id("account") or ""),
    }


def _sought(chosen: dict[str, str], number: str = "") -> Sought:
    zone = viewer_zone().key
    return Sought(
        words=chosen["q"],
        region=settings().region,
        kind=chosen["kind"],
        number=number,
        account_id=int(chosen["account"]) if chosen["account"] else None,
        since_ms=start_of_day_ms(chosen["from"], zone),
        until_ms=start_of_day_ms(chosen["to"], zone, days_later=1),
        since_day=chosen["from"],
        until_day=chosen["to"],
    )


def _about(chosen: dict[str, str], number: str) -> str:
    """What an export is of, in words."""
    account = db.session.get(Account, int(chosen["account"])) if chosen["account"] else None
    parts = [
        f"the number {friendly_phone(number)} ({number})" if number else "",
        f"the account {account.external_id}, {account.name}" if account else "",
        f"“{chosen['q']}”" if chosen["q"] else "",
        f"events of the kind “{KINDS[chosen['kind']].words}”" if chosen["kind"] else "",  # type: ignore[index]
        f"from {chosen['from']}" if chosen["from"] else "",
        f"to {chosen['to']}" if chosen["to"] else "",
    ]
    return ", ".join(filter(None, parts)) or "the whole ledger"

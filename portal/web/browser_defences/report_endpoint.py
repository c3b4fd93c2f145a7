"""Where browsers report what the content security policy has refused."""

from flask import Blueprint, current_app, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect

from portal.core.clock import now_ms
from portal.core.context import settings
from portal.core.extensions import csrf
from portal.operations.policy_reports import may_record_report, record_violations
from portal.operations.rules.policy_violations import host_of, parse_reports
from portal.web.access import public
from portal.web.security_headers import REPORTS_PATH

blueprint = Blueprint("policy_reports", __name__)
_MAX_BODY_BYTES = 32 * 1024
_REPORT_TYPES = ("application/csp-report", "application/reports+json")


@blueprint.post(REPORTS_PATH)
@public
def receive() -> ResponseReturnValue:
    """Browsers send no token. The answer is the same for every report, and says nothing."""
    request.max_content_length = _MAX_BODY_BYTES
    if request.mimetype in _REPORT_TYPES and may_record_report():
        record_violations(parse_reports(request.get_data(), host_of(settings().public_url), _route_of), now_ms())
    return "", 204


csrf.exempt(receive)


def _route_of(path: str) -> str:
    """The rule of a path, such as /Admin/Accounts/<id:account_id>: the path itself may hold the token of a link."""
    try:
        rule, _values = current_app.url_map.bind("").match(path, return_rule=True)
    except (HTTPException, RequestRedirect):
        return ""
    return rule.rule

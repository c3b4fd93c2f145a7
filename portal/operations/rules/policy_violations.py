"""What browsers report about the content security policy: which directive refused what, on which page.

Anybody can send a report, so it is only a hint, and only what a list or a pattern knows is kept of it: no query
string, no path of another site, and of our own pages the route, which holds no token of a link.
"""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from portal.core.translation import N_, ngettext
from portal.core.translation import gettext as _
from portal.operations.rules.checks import CheckResult, CheckSpec

MAX_REPORTS_PER_REQUEST = 20
CONTENT_POLICY = CheckSpec("Portal", N_("Content security policy"))
_DIRECTIVE, _HOST = re.compile(r"[a-z]+(?:-[a-z]+){0,5}"), re.compile(r"[a-z0-9.\-]{1,253}|[0-9a-f:]{2,45}")
_KEYWORDS = {"inline", "eval", "wasm-eval", "self", "trusted-types-policy", "trusted-types-sink"}
_EXTENSION_SCHEMES = (
    "chrome-extension",
    "moz-extension",
    "safari-extension",
    "safari-web-extension",
    "webkit-masked-url",
)
_OTHER, _MAX_LENGTH = "other", 60


@dataclass(frozen=True, order=True)
class PolicyViolation:
    """`blocked` is a keyword, a scheme or a host; `page` a route of ours."""

    directive: str
    blocked: str
    page: str


@dataclass(frozen=True)
class ViolationCount:
    violation: PolicyViolation
    count: int


def parse_reports(body: bytes, public_host: str, route_of: Callable[[str], str]) -> list[PolicyViolation]:
    """The violations in a report of either format; empty if it is no report. `route_of` a path, "" if there is none."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return []
    reports = [_named(report) for report in _reports(data)[:MAX_REPORTS_PER_REQUEST]]
    return [_violation(report, public_host, route_of) for report in reports if not _is_of_extension(report)]


def host_of(url: str) -> str:
    return _parts(url)[1]


def _reports(data: Any) -> list[dict[str, Any]]:
    """Bodies of the Reporting API, which sends lists, or of `report-uri`, which sends one."""
    if isinstance(data, list):
        bodies = [report.get("body") for report in data if _is_violation(report)]
    else:
        bodies = [data.get("csp-report")] if isinstance(data, dict) else []
    return [body for body in bodies if isinstance(body, dict)]


def _is_violation(report: Any) -> bool:
    return isinstance(report, dict) and report.get("type") == "csp-violation"


def _named(body: dict[str, Any]) -> dict[str, str]:
    """The fields by their names in the Reporting API: effective-directive is effectiveDirective there."""
    names = {"blocked-uri": "blockedURL", "document-uri": "documentURL", "violated-directive": "effectiveDirective"}
    fields = {names.get(name, name): value for name, value in body.items() if isinstance(value, str)}
    return fields | {"effectiveDirective": body.get("effective-directive") or fields.get("effectiveDirective", "")}


def _is_of_extension(report: dict[str, str]) -> bool:
    """What somebody has added to their own browser."""
    sources = (report.get(name, "") for name in ("blockedURL", "sourceFile", "source-file"))
    return any(source.startswith(_EXTENSION_SCHEMES) for source in sources)


def _violation(report: dict[str, str], public_host: str, route_of: Callable[[str], str]) -> PolicyViolation:
    words = str(report["effectiveDirective"]).split()
    directive = words[0] if words and len(words[0]) <= _MAX_LENGTH and _DIRECTIVE.fullmatch(words[0]) else _OTHER
    page = route_of(_parts(report.get("documentURL", ""))[2])
    return PolicyViolation(directive, _blocked(report.get("blockedURL", ""), public_host), page or _OTHER)


def _blocked(url: str, public_host: str) -> str:
    if url in _KEYWORDS:
        return url
    scheme, host, _path = _parts(url)
    if scheme in ("data", "blob", "filesystem", "about"):
        return f"{scheme}:"
    if host and host == public_host:
        return "self"
    return host if scheme in ("http", "https", "ws", "wss") and _HOST.fullmatch(host) else _OTHER


def _parts(url: str) -> tuple[str, str, str]:
    """Scheme, host and path."""
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname or "", parts.path
    except ValueError:
        return "", "", ""


def check_violations(counts: Sequence[ViolationCount], days: int) -> CheckResult:
    """A warning and never a failure, because strangers can make reports up."""
    if not counts:
        return CONTENT_POLICY.ok(
            ngettext("No browser reported anything in the last %(num)s day.",
                     "No browser reported anything in the last %(num)s days.", days)
        )  # fmt: skip
    reason = _(
        "Browsers refused what a page wanted to load or run: %(violations)s.",
        violations="; ".join(_describe(count) for count in _most_frequent(counts)),
    )
    return CONTENT_POLICY.warning(
        reason,
        _(
            "Open the page and look at the browser’s console. If nothing is refused there, a browser extension or a "
            "stranger’s report is the likely cause; otherwise look for text on that page that looks like code."
        ),
    )


def _most_frequent(counts: Iterable[ViolationCount]) -> list[ViolationCount]:
    return sorted(counts, key=lambda one: (-one.count, one.violation))[:3]


def _describe(one: ViolationCount) -> str:
    return ngettext(
        "%(blocked)s by %(directive)s at %(page)s, %(num)s time",
        "%(blocked)s by %(directive)s at %(page)s, %(num)s times",
        one.count,
        blocked=one.violation.blocked,
        directive=one.violation.directive,
        page=one.violation.page,
    )

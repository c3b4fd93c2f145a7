"""What a reviewer sees who opens one of the public pages."""

from collections.abc import Mapping
from html.parser import HTMLParser

from portal.content.rules.content_block_checks import BLOCKS
from portal.content.rules.wording_points import missing_points
from portal.core.translation import N_, join_words
from portal.core.translation import gettext as _
from portal.gateways.rules.fetched_page import FetchedPage
from portal.operations.rules.checks import CheckResult, CheckSpec
from portal.operations.rules.public_url_checks import display_url, explain_no_response

PUBLIC_PAGES_CHECK = CheckSpec("Portal", N_("Public pages"))


class _PageText(HTMLParser):
    """The words of the content block on a page, with **bold** marks and the addresses of links."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self._is_inside, self.parts = False, list[str]()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag == "div" and not self.parts:
            self._is_inside = attributes.get("class") == "rendered-body"
        elif self._is_inside:
            marks = {"a": f" {attributes.get('href') or ''} ", "strong": "**"}
            self.parts.append(marks.get(tag, "\n"))

    def handle_endtag(self, tag: str) -> None:
        if tag == "div":
            self._is_inside = False
        elif self._is_inside and tag == "strong":
            self.parts.append("**")

    def handle_data(self, data: str) -> None:
        if self._is_inside:
            self.parts.append(data)


def check_public_pages(pages: Mapping[str, tuple[str, FetchedPage]], organisation: str) -> CheckResult:
    """`pages`: by content block, the address and what was fetched."""
    for url, page in pages.values():
        if page.status is None:
            return PUBLIC_PAGES_CHECK.failing(*explain_no_response(page.error, url))
        if page.status != 200:
            return PUBLIC_PAGES_CHECK.failing(*_explain_status(page, url))
    problems = [
        _("%(url)s lacks: %(points)s.", url=_localized_url(key, url), points=points)
        for key, (url, page) in pages.items()
        if (points := _missing(key, page.html, organisation))
    ]
    if problems:
        fix = _("Add the sentences under Content blocks. Each block says why it needs them.")
        return PUBLIC_PAGES_CHECK.warning(" ".join(problems), fix)
    return PUBLIC_PAGES_CHECK.ok(
        _("Reviewers can open all three in every language, and find every sentence that they look for.")
    )


def _missing(key: str, html: str, organisation: str) -> str:
    marked = "".join(_PageText(html).parts)
    block, plain = BLOCKS[key], marked.replace("**", "")
    issues = missing_points(block.required_points, plain, marked, organisation, block.language)
    return join_words([_(issue.point) for issue in issues])


def _localized_url(key: str, url: str) -> str:
    return f"{display_url(url)} ({BLOCKS[key].language_name})"


def _explain_status(page: FetchedPage, url: str) -> tuple[str, str]:
    values = {"url": display_url(url), "status": str(page.status)}
    if 300 <= (page.status or 0) < 400:
        reason = _("%(url)s redirects to %(target)s.", target=display_url(page.location), **values)
        return reason, _("Set PublicUrl or PORTAL_PUBLIC_URL to the address it redirects to, or remove the redirect.")
    return _("%(url)s answered %(status)s.", **values), _(
        "Reviewers must open it without a sign-in: let the proxy pass on /sms/, and read its log."
    )

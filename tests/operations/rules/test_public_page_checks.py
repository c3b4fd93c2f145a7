"""What the diagnostics say about the public pages that reviewers read."""

import pytest

from portal.content.rules.content_block_checks import TERMS
from portal.gateways.rules.fetched_page import FetchedPage
from portal.operations.rules.public_page_checks import check_public_pages

URL = "https://portal.example.org/sms/terms"


@pytest.mark.parametrize(
    ("page", "reason", "fix"),
    [
        (FetchedPage(error="time-out"), "did not answer in time", "Open the port"),
        (FetchedPage(error="certificate"), "certificate of portal.example.org is not trusted", "public authority"),
        (FetchedPage(error="name"), "There is no host portal.example.org", "DNS"),
        (FetchedPage(error="connection"), "Nothing is listening", "proxy"),
        (FetchedPage(302, location="https://example.org/SignIn?x=1"), "redirects to https://example.org/SignIn", "Set"),
        (FetchedPage(401), "answered 401", "without a sign-in"),
        (FetchedPage(502), "answered 502", "read its log"),
    ],
)
def test_page_that_reviewers_cannot_open_fails(page: FetchedPage, reason: str, fix: str) -> None:
    result = check_public_pages({TERMS: (URL, page)}, "Harbor Board")
    assert result.verdict == "failing"
    assert reason in result.reason
    assert fix in result.fix


def test_page_of_somebody_else_lacks_every_sentence() -> None:
    result = check_public_pages({TERMS: (URL, FetchedPage(200, "<p>Welcome to nginx!</p>"))}, "Harbor Board")
    assert result.verdict == "warning"
    assert "/sms/terms (English) lacks: who sends, text messages, program" in result.reason

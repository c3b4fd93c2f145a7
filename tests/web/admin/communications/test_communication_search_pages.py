"""The search line on its pages: errors, links of earlier versions, suggestions, and saved searches."""

import re
from html import unescape

import pytest
from flask import Flask

from portal.core.extensions import db
from portal.records import search_indexing
from portal.records.tables.saved_searches import SavedSearch
from tests.support.html_checks import find_page_problems
from tests.support.page_queries import visible_text
from tests.support.web_client import NOW_MS, WebClient, signed_in_client

LIST = "/Admin/Communications"
DAY_MS = 86_400_000


@pytest.fixture
def indexed(web_app: Flask, sms_enabled: None, sent_communications: dict[str, int]) -> None:
    with web_app.app_context():
        search_indexing.index_new(lambda: NOW_MS + DAY_MS)
        db.session.remove()


def search(client: WebClient, line: str, **headers: str) -> str:
    response = client.get(LIST, query_string={"q": line}, headers=headers)
    assert response.status_code == 200
    assert find_page_problems(response.text) == [] or headers
    return response.text


def people(page: str) -> list[str]:
    return re.findall(r'<th scope="row">([^<]*) <span', page)


def test_words_are_found_in_recipients_and_subjects(admin: WebClient, indexed: None) -> None:
    assert people(search(admin, "OLIVE")) == ["Olive Owner"]
    assert people(search(admin, '"notice for stan"')) == ["Stan Stranger"]
    assert people(search(admin, "template:notice to:p-1 status:waiting channel:text")) == ["Olive Owner"]
    assert "No communications match." in search(admin, "olive status:failed")


@pytest.mark.parametrize("line", ["status:nothing", "from:olive", "before:soon", "a" * 5_000, "number:1"])
def test_error_stands_at_the_line_that_is_kept(admin: WebClient, indexed: None, line: str) -> None:
    page = search(admin, line)
    assert 'aria-invalid="true" aria-describedby="q-error"' in page
    assert re.search(r'<p class="notice" data-tone="bad" id="q-error" role="alert">[^<]{20}', page)
    assert f'value="{line[:2_000]}"' in page
    assert "<title>Error: Communications" in page


@pytest.mark.parametrize(
    "line", ["'", '"', "%", "_", "\\", "  ", "😀😀😀", "*", "a NEAR b", "\x00", "״", "-1", "(", "OR"]
)
def test_odd_characters_are_looked_for_as_they_are(admin: WebClient, indexed: None, line: str) -> None:
    assert people(search(admin, line)) == ([] if line.strip(' "\x00') else people(search(admin, "")))


def test_links_of_earlier_versions_become_a_line(admin: WebClient, indexed: None) -> None:
    page = admin.get(f"{LIST}?q=olive&group=waiting&channel=sms&send=1").text
    assert 'value="olive status:waiting channel:text send:1"' in page
    assert people(page) == ["Olive Owner"]


def test_statuses_are_links_that_keep_the_words(admin: WebClient, indexed: None) -> None:
    page = search(admin, "olive status:failed")
    links = dict(re.findall(r'<a href="([^"]*)" aria-current="true">([^<]*)</a>', page))
    assert links[f"{LIST}?q=olive+status%3Afailed"] == "Not delivered"
    assert f'href="{LIST}?q=olive">Any status' in page
    assert f'href="{LIST}?q=olive+status%3Awaiting">Waiting' in page


def test_statuses_show_the_totals_that_are_kept(admin: WebClient, indexed: None) -> None:
    def counts(line: str) -> dict[str, str]:
        return dict(
            re.findall(r'<a href="[^"]*"[^>]*>([A-Z][^<]*) <span class="muted">(\d+)</span></a>', search(admin, line))
        )

    assert counts("send:1 channel:email")["Waiting"] == counts("channel:email")["Waiting"] == "6"
    assert counts("send:1 channel:text")["Waiting"] == "1"
    assert counts("send:1")["Delivered"] == "0"
    assert counts("olive") == {}


def test_list_alone_answers_htmx(admin: WebClient, indexed: None) -> None:
    page = search(admin, "olive", **{"HX-Request": "true"})
    assert page.lstrip().startswith('<section id="communications"')
    assert people(page) == ["Olive Owner"]


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("", ["to:", "template:", "status:", "channel:", "before:", "after:", "number:", "send:", "code:"]),
        ("olive st", ["olive status:"]),
        ("olive status:wait", ["olive status:waiting"]),
        ("channel:", ["channel:email", "channel:text"]),
        ("before:", ["before:today", "before:yesterday"]),
        ("template:NOT", ["template:notice"]),
        ("send:", ["send:1"]),
        ("code:3", []),
        ("x:", []),
    ],
)
def test_suggestions_complete_what_is_typed(admin: WebClient, indexed: None, typed: str, offered: list[str]) -> None:
    page = admin.get(f"{LIST}/suggestions", query_string={"q": typed}).text
    assert [unescape(line) for line in re.findall(r'<option value="([^"]*)"', page)] == offered


def test_filters_of_texts_are_not_offered_while_texts_are_off(admin: WebClient) -> None:
    page = admin.get(f"{LIST}/suggestions").text
    assert "channel:" not in page
    assert "number:" not in page


def test_search_is_saved_for_the_administrator_alone(web_app: Flask, admin: WebClient, indexed: None) -> None:
    response = admin.post(f"{LIST}/searches", name=" My  search ", line="olive status:waiting")
    assert (response.status_code, response.location) == (303, f"{LIST}?q=olive+status%3Awaiting")
    assert f'href="{LIST}?q=olive+status:waiting">My search</a>' in search(admin, "")
    other = signed_in_client(web_app, "S-1")
    assert "My search" not in other.get(LIST).text
    assert other.post(f"{LIST}/searches/1/delete").status_code == 404
    assert admin.post(f"{LIST}/searches/1/delete").status_code == 303
    assert "My search" not in search(admin, "")


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        ("", "olive", "Enter a name."),
        ("n" * 61, "olive", "The name can have at most 60 characters."),
        ("TAKEN", "olive", "Another of your searches is already called “TAKEN”."),
        ("New", "", "Search for something first"),
        ("New", "status:x", "“x” is not a status."),
    ],
)
def test_search_that_cannot_be_saved_is_kept(
    web_app: Flask, admin: WebClient, indexed: None, name: str, line: str, message: str
) -> None:
    assert admin.post(f"{LIST}/searches", name="Taken", line="olive").status_code == 303
    page = admin.post(f"{LIST}/searches", name=name, line=line)
    assert page.status_code == 422
    assert message in visible_text(page.text)
    assert f'value="{name}"' in page.text
    assert f'value="{line}"' in page.text
    assert find_page_problems(page.text) == []
    with web_app.app_context():
        assert db.session.query(SavedSearch).count() == 1


@pytest.mark.parametrize("cursor", ["-sent.0", "-sent.x", "-sent.999999", "sent.1", "\x00", "-sent." + "9" * 30])
def test_cursors_that_were_tampered_with_are_harmless(admin: WebClient, indexed: None, cursor: str) -> None:
    for name in ("after", "before"):
        response = admin.get(LIST, query_string={"q": "olive", name: cursor})
        assert response.status_code == 200
        assert find_page_problems(response.text) == []

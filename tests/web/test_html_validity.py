"""Every page, for every role, with texts on and off, empty and with what is wrong in it, before an HTML checker."""

import hashlib
import json
import re
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.routing import Rule

from bin.programs import VNU_JAR, find_program
from portal.web.template_filters import html_attributes
from tests.support.web_client import PUBLIC_URL, WebClient

JAVA = find_program("java")
PAGES_FOR_BOTH = (
    "/MyAccount/PhoneNumbers?add=1",
    "/Admin/Sends/new?template=notice",
    "/Admin/Consent?q=olive",
    "/nowhere",
)
VALUES = {
    "number": "+12025550101",
    "name": "SmsGatewaySettings",
    "key": "sign-in-notice",
    "form": "print",
    "_step": "doctor",
    "token": "x",
    "filename": "portal.css",
}
FRAGMENT = (
    '<!doctype html><html lang="en"><head><title>A fragment</title></head>'
    "<body><h1>A fragment</h1><main>{}</main></body></html>"
)
ROW = re.compile(r"\s*<(?:tr|tbody|td|th)\b")
IGNORED_MESSAGES = re.compile(
    r"Attribute “hx-[\w-]+” not allowed|The “(?:align|cellpadding|cellspacing)” attribute on the “table” element"
)
"""htmx's attributes are its own; mail programs know tables better than CSS."""


class Forms(HTMLParser):
    """The POST forms of a page: where each goes, and its fields with what they hold."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.forms: list[tuple[str, dict[str, str]]] = []
        self._inside = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._inside = found.get("method") == "post"
            if self._inside:
                self.forms.append((found.get("action", ""), {}))
        elif self._inside and "name" in found and tag in ("input", "select", "textarea", "button"):
            hidden = found.get("type") == "hidden"
            self.forms[-1][1].setdefault(found["name"], found.get("value", "") if hidden else "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False


@pytest.fixture
def html_folder(tmp_path: Path) -> Path:
    (tmp_path / "pages").mkdir()
    return tmp_path / "pages"


def addresses(app: Flask) -> Iterator[str]:
    for rule in app.url_map.iter_rules():
        if "GET" in (rule.methods or set()) and rule.endpoint not in ("static", "security.logout"):
            yield _filled(rule)
    yield from PAGES_FOR_BOTH


def _filled(rule: Rule) -> str:
    return re.sub(r"<(\w+:|[^<>]*\):)?(\w+)>", lambda found: _value(found[1] or "", found[2]), rule.rule)


def _value(converter: str, name: str) -> str:
    return "1" if converter == "id:" else VALUES.get(name, "1")


def save_page(folder: Path, where: str, page: str) -> None:
    """One file for each page that differs by more than its token."""
    said = re.sub(r'name="csrf_token" value="[^"]+"', 'name="csrf_token" value="x"', page)
    whole = said if "<!doctype" in said[:200].lower() else _wrapped(said)
    name = hashlib.sha256(said.encode()).hexdigest()[:12]
    if not any(folder.glob(f"{name}*")):
        (folder / f"{name}{re.sub(r'[^0-9A-Za-z]+', '-', where)[:80]}.html").write_text(whole, encoding="utf-8")


def _wrapped(fragment: str) -> str:
    around = "<table>{}</table>" if ROW.match(fragment) else "{}"
    return FRAGMENT.replace("{}", around.replace("{}", fragment))


def visit_every_page(visitor: WebClient, app: Flask, folder: Path, who: str, send_forms: bool) -> None:
    """Every address; then every form, sent with nothing typed into it: that is where errors show."""
    forms: dict[str, dict[str, str]] = {}
    for address in addresses(app):
        answer = visitor.get(address)
        assert answer.status_code != 500, address
        if answer.mimetype == "text/html" and answer.text:
            save_page(folder, f"{who}{address}", answer.text)
            forms |= {action or address: fields for action, fields in Forms(answer.text).forms}
    for action, fields in forms.items() if send_forms else ():
        if "SignOut" in action or "logout" in action:
            continue
        answer = visitor.post_without_token(action.removeprefix(PUBLIC_URL), fields)
        assert answer.status_code != 500, action
        if answer.mimetype == "text/html" and answer.text and answer.status_code != 302:
            save_page(folder, f"{who}-sent-{action}", answer.text)


@pytest.mark.skipif(JAVA is None or not VNU_JAR.exists(), reason="needs Java and vnu.jar (bin/test_tools.py)")
def test_every_page_is_html_as_the_standard_has_it(
    web_app: Flask,
    visitor: WebClient,
    number_owner: WebClient,
    admin: WebClient,
    sysadmin: WebClient,
    sent_communications: dict[str, int],
    request: pytest.FixtureRequest,
    html_folder: Path,
) -> None:
    people = {"nobody": visitor, "user": number_owner, "admin": admin, "sysadmin": sysadmin}
    for texts in ("off", "on"):
        if texts == "on":
            request.getfixturevalue("sms_enabled")
        for who, person in people.items():
            visit_every_page(person, web_app, html_folder, f"{texts}-{who}", texts == "on")
    pages = sorted(html_folder.glob("*.html"))
    assert len(pages) > 100
    assert [page.name for page in pages if re.search(r'="(?:False|True|None)"', page.read_text())] == []
    assert problems(html_folder) == []


def problems(folder: Path) -> list[str]:
    assert JAVA is not None
    command = [JAVA, "-jar", str(VNU_JAR), "--format", "json", "--exit-zero-always", "--skip-non-html", str(folder)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=110, check=True)
    told = json.loads(run.stderr or run.stdout)["messages"]
    found = [one for one in told if not IGNORED_MESSAGES.search(one["message"])]
    return sorted(
        {f"{Path(one['url']).name[12:]}: {one['message']} ({one.get('extract', '').strip()[:150]})" for one in found}
    )


def test_no_attribute_is_printed_for_what_is_false_or_missing() -> None:
    given = {"required": False, "list": None, "autofocus": True, "rows": 0, "title": '"><b>', "data-x": "False"}
    assert html_attributes(given) == 'autofocus rows="0" title="&#34;&gt;&lt;b&gt;" data-x="False"'


def test_a_file_of_opt_outs_needs_no_pasting_and_the_sign_in_notice_may_be_emptied(
    admin: WebClient, sms_enabled: None
) -> None:
    pasted = re.search(r'<textarea[^>]*name="text"[^>]*>', admin.get("/Admin/Consent/Import/OptOuts").text)
    assert pasted
    assert "required" not in pasted[0]
    blocks = admin.get("/Admin/ContentBlocks").text
    notices = re.findall(r'href="(/Admin/ContentBlocks/[^"]*)"', blocks)
    editors = [admin.get(path).text for path in notices]
    notice = next(page for page in editors if "Sign-in Notice" in page)
    assert "required" not in re.search(r"<textarea[^>]*>", notice)[0]  # type: ignore[index]

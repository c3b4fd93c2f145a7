"""Checks the HTML of every page for every role, with texts on and off, empty and with errors."""

import hashlib
import json
import re
import subprocess
from pathlib import Path

import pytest
from flask import Flask

from bin.programs import VNU_JAR, find_program
from portal.consent import background_imports, inbound_processing
from portal.consent.tables.import_tasks import ImportTaskKind
from portal.core.actor import SHELL_ACTOR
from portal.web.template_filters import html_attributes
from tests.support.authentication.second_factor_pages import show_second_factors
from tests.support.page_queries import app_transaction
from tests.support.pages.page_data import add_template_draft
from tests.support.pages.page_walk import visit_every_page
from tests.support.pages.sends_to_show import add_sends_to_show
from tests.support.web_client import NOW_MS, WebClient

JAVA = find_program("java")
QUICK_START = ("-Xss8m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
"""What runs for seconds does not profit from a compiler made for hours, whose quick half needs a larger stack."""
FRAGMENT = (
    '<!doctype html><html lang="en"><head><title>A fragment</title></head>'
    "<body><h1>A fragment</h1><main>{}</main></body></html>"
)
ROW = re.compile(r"\s*<(?:tr|tbody|td|th)\b")
OPTION = re.compile(r"\s*<option\b")
IGNORED_MESSAGES = re.compile(
    r"Attribute “hx-[\w-]+” not allowed|The “(?:align|cellpadding|cellspacing)” attribute on the “table” element"
)
"""htmx adds attributes of its own, and email clients support tables better than CSS."""


@pytest.fixture
def html_folder(tmp_path: Path) -> Path:
    (tmp_path / "pages").mkdir()
    return tmp_path / "pages"


def save_page(folder: Path, where: str, page: str, saved: set[str]) -> None:
    """Save one file for each page that differs by more than its CSRF token; `saved` holds the hashes of the files."""
    html = re.sub(r'name="csrf_token" value="[^"]+"', 'name="csrf_token" value="x"', page)
    whole = html if "<!doctype" in html[:200].lower() else _wrapped(html)
    name = hashlib.sha256(html.encode()).hexdigest()[:12]
    if name not in saved:
        saved.add(name)
        (folder / f"{name}{re.sub(r'[^0-9A-Za-z]+', '-', where)[:80]}.html").write_text(whole, encoding="utf-8")


def _wrapped(fragment: str) -> str:
    if OPTION.match(fragment):
        return FRAGMENT.replace("{}", f'<datalist id="options">{fragment}</datalist>')
    around = "<table>{}</table>" if ROW.match(fragment) else "{}"
    return FRAGMENT.replace("{}", around.replace("{}", fragment))


@pytest.mark.timeout(300)
@pytest.mark.skipif(JAVA is None or not VNU_JAR.exists(), reason="needs Java and vnu.jar (bin/test_tools.py)")
def test_every_page_is_valid_html(
    web_app: Flask,
    visitor: WebClient,
    number_owner: WebClient,
    admin: WebClient,
    sysadmin: WebClient,
    sent_communications: dict[str, int],
    recipient_file: int,
    request: pytest.FixtureRequest,
    html_folder: Path,
) -> None:
    add_template_draft(web_app)
    show_second_factors(web_app, visitor)
    with web_app.app_context():
        background_imports.create_task(ImportTaskKind.OPT_OUTS, "+12025550166", SHELL_ACTOR, NOW_MS)
        question = {"MessageSid": "SM1", "From": "+12025550101", "To": "+12025550199", "Body": "Who is this?"}
        inbound_processing.receive_inbound(question, NOW_MS)
    with app_transaction(web_app):
        add_sends_to_show()
    saved: set[str] = set()
    people = {"nobody": visitor, "user": number_owner, "admin": admin, "sysadmin": sysadmin}
    for texts in ("off", "on"):
        if texts == "on":
            request.getfixturevalue("sms_enabled")
        for role, person in people.items():
            for address, page in visit_every_page(person, web_app, send_forms=texts == "on"):
                save_page(html_folder, f"{texts}-{role}{address}", page, saved)
    pages = sorted(html_folder.glob("*.html"))
    assert len(pages) > 100
    assert [page.name for page in pages if re.search(r'="(?:False|True|None)"', page.read_text())] == []
    assert problems(html_folder) == []


def problems(folder: Path) -> list[str]:
    assert JAVA is not None
    command = [
        JAVA,
        *QUICK_START,
        "-jar",
        str(VNU_JAR),
        "--format",
        "json",
        "--exit-zero-always",
        "--skip-non-html",
        str(folder),
    ]
    run = subprocess.run(command, capture_output=True, text=True, timeout=110, check=True)
    messages = json.loads(run.stderr or run.stdout)["messages"]
    return sorted({_describe(message) for message in messages if not IGNORED_MESSAGES.search(message["message"])})


def _describe(message: dict[str, str]) -> str:
    return f"{Path(message['url']).name[12:]}: {message['message']} ({message.get('extract', '').strip()[:150]})"


def test_false_and_missing_attributes_are_omitted() -> None:
    given = {"required": False, "list": None, "autofocus": True, "rows": 0, "title": '"><b>', "data-x": "False"}
    assert html_attributes(given) == 'autofocus rows="0" title="&#34;&gt;&lt;b&gt;" data-x="False"'


def test_optional_textareas_are_not_required(admin: WebClient, sms_enabled: None) -> None:
    pasted = re.search(r'<textarea[^>]*name="text"[^>]*>', admin.get("/Admin/Consent/Import/OptOuts").text)
    assert pasted
    assert "required" not in pasted[0]
    blocks = admin.get("/Admin/ContentBlocks").text
    notices = re.findall(r'href="(/Admin/ContentBlocks/[^"]*)"', blocks)
    editors = [admin.get(path).text for path in notices]
    notice = next(page for page in editors if "Sign-in Notice" in page)
    assert "required" not in re.search(r"<textarea[^>]*>", notice)[0]  # type: ignore[index]

"""Every word on a page goes through gettext: in the pseudo-locale, plain Latin letters are words that do not."""

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, Route
from sqlalchemy import update
from werkzeug.test import TestResponse

from portal.accounts.tables.accounts import Account
from portal.accounts.tables.attributes import Attribute, AttributeValue
from portal.content.email_rendering import EmailLook
from portal.content.tables.templates import Template, TemplateVersion
from portal.core.extensions import db
from portal.core.translation import gettext as _
from portal.core.translation import ngettext, use_language
from portal.messages.tables.communications import Communication
from portal.schedules.tables.schedules import Schedule
from tests.support.authentication.second_factor_pages import show_second_factors
from tests.support.page_queries import app_transaction
from tests.support.pages.alerts_to_show import add_alerts_to_show
from tests.support.pages.page_data import add_template_draft
from tests.support.pages.page_walk import addresses, visit_every_page
from tests.support.pages.pseudo_locale import PSEUDO, pseudo, untranslated_words, use_pseudo_locale
from tests.support.pages.sends_to_show import add_sends_to_show
from tests.support.web_client import PUBLIC_URL, WebClient

PORTAL = Path(__file__).parents[2] / "portal"
ROLES = ("nobody", "user", "sysadmin")
_EMAILS = ("/Admin/Communications/1/email", "/Admin/Automations/Templates/1/email")
"""Shown to administrators in the language of the reader."""
NOT_FOR_PEOPLE = ("/static", "/metrics", "/healthz", "/readyz", "/styleguide", *_EMAILS)


@pytest.fixture
def pseudo_app(
    web_app: Flask, visitor: WebClient, sms_enabled: None, sent_communications: dict[str, int], recipient_file: int
) -> Flask:
    """A portal in the pseudo-locale, whose people write Greek."""
    add_template_draft(web_app)
    show_second_factors(web_app, visitor)
    with app_transaction(web_app):
        add_sends_to_show()
        add_alerts_to_show()
        db.session.execute(update(Account).values(name="Ελένη Παπαδοπούλου", account_type="Ιατρός"))
        db.session.execute(update(Attribute).values(label="Ιδιότητα", choices=["Βορράς"]))
        latin_values = AttributeValue.value.in_(["North", "An old friend"])
        db.session.execute(update(AttributeValue).where(latin_values).values(value="Βορράς"))
        db.session.execute(update(Template).values(name="Ανακοίνωση", tags=["Νέα"]))
        db.session.execute(update(Schedule).values(name="Υπενθύμιση"))
        db.session.execute(update(TemplateVersion).values(subject="Ανακοίνωση", body="Καλημέρα."))
        db.session.execute(update(Communication).values(subject="Ανακοίνωση", body="Καλημέρα."))
    web_app.config["PORTAL"] = replace(web_app.config["PORTAL"], organisation="Σύλλογος")
    use_pseudo_locale(web_app)
    return web_app


@pytest.fixture
def everybody(visitor: WebClient, number_owner: WebClient, sysadmin: WebClient) -> dict[str, WebClient]:
    """Administrators see the pages of the sysadmin, but fewer."""
    return {"nobody": visitor, "user": number_owner, "sysadmin": sysadmin}


@pytest.mark.parametrize("role", ROLES)
def test_pages_have_no_words_that_bypass_gettext(pseudo_app: Flask, everybody: dict[str, WebClient], role: str) -> None:
    first_seen: dict[str, str] = {}
    for address, page in visit_every_page(everybody[role], pseudo_app, send_forms=True):
        if not address.startswith(NOT_FOR_PEOPLE):
            first_seen = dict.fromkeys(untranslated_words(page), address) | first_seen
    assert first_seen == {}


def test_account_emails_have_no_words_that_bypass_gettext(pseudo_app: Flask) -> None:
    account = {"name": "Ελένη", "external_id": "P-1", "type": "Ιατρός", "link": "https://portal.example.org/x"}
    context = {
        **account,
        "recipient_name": "Ελένη",
        "organisation": "Σύλλογος",
        "forgot_password_url": account["link"],
        "portal_link": account["link"],
        "subject": "Ανακοίνωση",
        "body_html": "Καλημέρα",
        "body_text": "Καλημέρα",
        "look": EmailLook("#01588a"),
        "days": 7,
        "address": "e@example.org",
        "heading": "Ανακοίνωση",
        "sentence": "Καλημέρα.",
        "when": lambda: "Πέμπτη",
        "browser": "",
        "is_done": True,
    }
    folder = PORTAL / "templates" / "security" / "email"
    names = ("email/notification", *sorted(f"security/email/{path.stem}" for path in folder.glob("*.html")))
    with pseudo_app.app_context(), use_language(PSEUDO):
        for name in names:
            for accounts in ([account], [account, account]):
                for kind in ("txt", "html"):
                    email = pseudo_app.jinja_env.get_template(f"{name}.{kind}").render(context, accounts=accounts)
                    assert untranslated_words(email) == [], f"{name}.{kind}"
                    assert kind == "txt" or '<html lang="el">' in email


@pytest.fixture
def phone(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": 390, "height": 844})
    yield context.new_page()
    context.close()


def serve_from(person: WebClient, page: Page) -> dict[str, TestResponse]:
    """Answer from the person's portal. A response in the dictionary that this returns is used instead of a new one."""
    known: dict[str, TestResponse] = {}

    def serve(route: Route) -> None:
        address = route.request.url.removeprefix(PUBLIC_URL)
        response = known.get(address) or person.get(address)
        if address.startswith("/static/"):
            known[address] = response
        route.fulfill(status=response.status_code, content_type=response.content_type, body=response.data)

    page.route("**/*", serve)
    return known


@pytest.mark.e2e
@pytest.mark.timeout(300)
@pytest.mark.parametrize("role", ROLES)
def test_longer_words_do_not_widen_pages_on_a_phone(
    pseudo_app: Flask, everybody: dict[str, WebClient], phone: Page, role: str
) -> None:
    too_wide, known = [], serve_from(everybody[role], phone)
    for address in addresses(pseudo_app):
        response = everybody[role].get(address)
        assert response.status_code != 500, address
        if response.status_code == 200 and response.mimetype == "text/html" and "<!doctype html>" in response.text:
            known[address] = response
            phone.goto(f"{PUBLIC_URL}{address}")
            width = phone.evaluate("document.documentElement.scrollWidth")
            too_wide += [f"{address}: {width} px"] if width > 390 else []
    assert too_wide == []


def test_message_outside_a_request_is_english() -> None:
    assert _("%(count)s texts to %(name)s", count=1204, name="Ελένη") == "1,204 texts to Ελένη"
    assert ngettext("%(num)s text", "%(num)s texts", 1) == "1 text"


def test_message_in_a_request_is_in_its_language(pseudo_app: Flask, visitor: WebClient) -> None:
    page = visitor.get("/SignIn").text
    assert pseudo("Forgot your password?") in page
    assert '<html lang="el">' in page
    assert _("Forgot your password?") == "Forgot your password?"


def test_values_in_a_message_are_escaped(web_app: Flask) -> None:
    template = web_app.jinja_env.from_string('{{ _("<strong>%(name)s</strong>", name=name) }}{{ "<i>" | translate }}')
    with web_app.app_context():
        assert template.render(name="<b>") == "<strong>&lt;b&gt;</strong>&lt;i&gt;"


def test_messages_in_templates_are_literals() -> None:
    """A message may contain tags, so it is never a value, which could be anybody's."""
    call = re.compile(r"""(?<![\w.])(?:_|gettext|ngettext)\((?!["'])""")
    found = [
        f"{path.name}: {match[0]}"
        for path in PORTAL.rglob("templates/**/*.*")
        for match in call.finditer(path.read_text())
    ]
    assert found == []


def test_modules_that_translate_use_the_underscore_for_nothing_else() -> None:
    for path in PORTAL.rglob("*.py"):
        tree = ast.parse(path.read_text())
        names = [alias.asname for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names]
        if "_" in names:
            stored = [
                node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
            ]
            arguments = [node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)]
            assert "_" not in [*stored, *arguments], path


def test_no_message_is_inside_an_f_string() -> None:
    """Older Pythons hide it there from the extractor, so nobody would translate it."""
    found = [
        f"{path.name}:{call.lineno}"
        for path in PORTAL.rglob("*.py")
        for string in ast.walk(ast.parse(path.read_text()))
        if isinstance(string, ast.JoinedStr)
        for call in ast.walk(string)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in {"_", "ngettext", "N_"}
        if isinstance(call.args[0], ast.Constant)
    ]
    assert found == []

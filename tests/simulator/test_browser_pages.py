"""The pages, over HTTP and in a real browser with axe."""

import smtplib
import time
from collections.abc import Iterator
from email.message import EmailMessage
from typing import Any

import pytest
import requests
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.simulator.simulator_server import FROM, TO, Simulator, WebhookServer

ANA, BEN = TO, "+12025550177"


@pytest.fixture
def simulator_populated(simulator_fresh: Simulator, simulator_webhooks: WebhookServer) -> Simulator:
    hour_ms, now_ms = 3_600_000, int(time.time() * 1000)
    link = "Example: Your licence is due. https://example.org/m/4fK2p9 Reply STOP to opt out"
    texts = [
        {"from": FROM, "to": ANA, "body": link, "at_ms": now_ms - 30 * hour_ms},
        {"direction": "inbound", "from": ANA, "to": FROM, "body": "What is this?", "at_ms": now_ms - 2 * hour_ms},
        {"from": FROM, "to": ANA, "body": "<b>Not bold</b> & safe", "at_ms": now_ms - hour_ms},
        *({"from": FROM, "to": BEN, "body": f"Reminder {n}", "at_ms": now_ms - hour_ms + n} for n in range(5)),
    ]
    simulator_fresh.post("/simulator/seed", {"messages": texts})
    simulator_fresh.send_from_handset("STOP", BEN)
    _send_email(simulator_fresh)
    return simulator_fresh


def _send_email(simulator: Simulator) -> None:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "board@example.org", "ana@example.org", "Your licence is due"
    mail.set_content("Open https://example.org/m/abc now.")
    mail.add_alternative(
        "<html lang='en'><head><title>Mail</title></head><body><h1>Due</h1><a href='https://example.org/'>Open</a>"
        "<script>document.title='ran'</script></body></html>",
        subtype="html",
    )
    with smtplib.SMTP("127.0.0.1", simulator.smtp_port, timeout=10) as smtp:
        smtp.send_message(mail)


def _text(simulator: Simulator, path: str) -> str:
    response = requests.get(simulator.url + path, timeout=10)
    assert response.status_code == 200
    assert response.headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'")
    return response.text


PATHS = ["/", "/handsets", f"/handsets/{ANA}", f"/handsets/{BEN}", "/mailbox", "/mailbox/1", "/faults"]


def test_no_page_has_anything_inline(simulator_populated: Simulator) -> None:
    for path in PATHS:
        html = _text(simulator_populated, path)
        scripts = html.count("<script"), html.count('<script type="module" src="/static/live.js">')
        counts = html.count("<h1"), html.count("style="), html.count("<style"), *scripts
        assert counts == (1, 0, 0, 1, 1), path


def test_a_text_is_escaped_except_its_links(simulator_populated: Simulator) -> None:
    html = _text(simulator_populated, f"/handsets/{ANA}")
    assert "&lt;b&gt;Not bold&lt;/b&gt; &amp; safe" in html
    assert '<a href="https://example.org/m/4fK2p9" target="_blank" rel="noopener">' in html


def test_an_email_is_escaped(simulator_fresh: Simulator) -> None:
    with smtplib.SMTP("127.0.0.1", simulator_fresh.smtp_port, timeout=10) as smtp:
        smtp.sendmail("a@example.org", "b@example.org", "Subject: <script>x</script>\r\n\r\n<script>y</script>")
    for path in ("/mailbox", "/mailbox/1", "/mailbox?to=<script>z</script>"):
        html = _text(simulator_fresh, path)
        assert "<script>" not in html
        assert "&lt;script&gt;" in html


def test_a_reply_works_without_javascript(simulator_populated: Simulator, simulator_webhooks: WebhookServer) -> None:
    url = f"{simulator_populated.url}/handsets/{ANA}"
    response = requests.post(url, data={"to": FROM, "body": "Thank you"}, timeout=10)
    assert response.history[0].status_code == 303
    assert "Thank you" in response.text
    assert simulator_webhooks.posts[-1].params["Body"] == "Thank you"
    rejected = requests.post(url, data={"to": FROM, "body": " "}, timeout=10)
    assert rejected.status_code == 400
    assert "Enter a text" in rejected.text


def test_a_rejected_reply_shows_the_reason(simulator_populated: Simulator, simulator_webhooks: WebhookServer) -> None:
    simulator_webhooks.status = 500
    response = requests.post(f"{simulator_populated.url}/handsets/{ANA}", data={"body": "Anybody there?"}, timeout=10)
    assert "Not accepted: the application returned 500." in response.text


def test_other_sites_cannot_text_from_a_handset(simulator_populated: Simulator) -> None:
    url, headers = f"{simulator_populated.url}/handsets/{ANA}", {"Sec-Fetch-Site": "cross-site"}
    assert requests.post(url, data={"body": "STOP"}, headers=headers, timeout=10).status_code == 403


def test_a_handset_opens_by_its_formatted_number(simulator_populated: Simulator) -> None:
    url = f"{simulator_populated.url}/handsets/open"
    opened = requests.get(url, params={"number": "(202) 555-0123"}, timeout=10)
    assert opened.url.endswith(f"/handsets/{ANA}")
    rejected = requests.get(url, params={"number": "hello"}, timeout=10)
    assert rejected.status_code == 400
    assert 'value="hello"' in rejected.text


def test_the_fault_form_sets_faults(simulator_fresh: Simulator) -> None:
    url = f"{simulator_fresh.url}/faults"
    form = {"latency_ms_low": "5", "latency_ms_high": "9", "api_kind": "429", "api_percent": "50", "api_count": "3"}
    page = requests.post(url, data=form, timeout=10)
    assert '<option value="429" selected>' in page.text
    faults = simulator_fresh.get("/simulator/faults")
    assert faults["latency_ms"] == [5, 9]
    assert (faults["rules"][0]["probability"], faults["rules"][0]["count"]) == (0.5, 3)
    mail = {"smtp_kind": "reply_rcpt", "smtp_reply": "550 5.1.1 Nobody", "smtp_extensions": "8bitmime PIPELINING"}
    requests.post(url, data={**form, **mail}, timeout=10)
    assert simulator_fresh.get("/simulator/faults")["smtp_extensions"] == ["8BITMIME", "PIPELINING"]
    assert simulator_fresh.get("/simulator/faults")["smtp"][0]["reply"] == "550 5.1.1 Nobody"
    rejected = requests.post(url, data={**form, "api_percent": "150"}, timeout=10)
    assert rejected.status_code == 400
    assert 'value="150"' in rejected.text
    requests.post(url, data={"clear": "1"}, timeout=10)
    assert simulator_fresh.get("/simulator/faults")["rules"] == []


VIEWS: list[tuple[int, Any]] = [(1280, "light"), (390, "dark")]


@pytest.mark.e2e
def test_every_page_is_accessible(simulator_populated: Simulator, chromium: Browser) -> None:
    context = chromium.new_context(bypass_csp=True)
    page = context.new_page()
    for path in [*PATHS, "/handsets/open?number=x", "/mailbox?to=nobody"]:
        page.goto(simulator_populated.url + path)
        for width, scheme in VIEWS:
            where = f"{path}, {scheme}, {width} wide"
            page.set_viewport_size({"width": width, "height": 844})
            page.emulate_media(color_scheme=scheme)
            results = Axe().run(page)
            assert results.violations_count == 0, f"{where}: {results.generate_report()}"
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{where} scrolls sideways"
    context.close()


@pytest.fixture
def simulator_page(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context()
    page, console_errors = context.new_page(), []
    page.on("console", lambda message: console_errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: console_errors.append(str(error)))
    yield page
    context.close()
    assert [error for error in console_errors if "Blocked script execution" not in error] == []


@pytest.mark.e2e
def test_a_new_text_appears_automatically(simulator_populated: Simulator, simulator_page: Page) -> None:
    simulator_page.goto(f"{simulator_populated.url}/handsets")
    simulator_populated.send("Fresh from the portal https://example.org/x")
    expect(simulator_page.get_by_text("Fresh from the portal")).to_be_visible()
    expect(simulator_page.get_by_role("link", name="https://example.org/x")).to_be_visible()
    expect(simulator_page.get_by_role("status")).to_have_text("New text on (202) 555-0123")


@pytest.mark.e2e
def test_a_handset_can_opt_out_then_in(simulator_populated: Simulator, simulator_page: Page) -> None:
    simulator_page.goto(f"{simulator_populated.url}/handsets/{ANA}")
    simulator_page.get_by_role("button", name="Send STOP").click()
    expect(simulator_page.get_by_text("Twilio blocks texts from (202) 555-0100")).to_be_visible()
    simulator_page.get_by_role("button", name="Send START").click()
    expect(simulator_page.get_by_text("Twilio blocks texts")).to_have_count(0)
    simulator_page.get_by_label("Reply").fill("Typed by hand")
    simulator_page.get_by_role("button", name="Send", exact=True).click()
    expect(simulator_page.get_by_text("Typed by hand")).to_be_in_viewport()


@pytest.mark.e2e
def test_an_email_is_shown_without_running_its_scripts(simulator_populated: Simulator, simulator_page: Page) -> None:
    simulator_page.goto(f"{simulator_populated.url}/mailbox")
    simulator_page.get_by_role("link", name="Your licence is due").click()
    frame = simulator_page.frame_locator("iframe")
    expect(frame.get_by_role("heading", name="Due")).to_be_visible()
    expect(frame.get_by_role("link", name="Open")).to_have_attribute("href", "https://example.org/")

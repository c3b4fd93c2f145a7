"""The pages, by HTTP and in a real browser with axe."""

import smtplib
import time
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import requests
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.simulator.simulator_server import FROM, TO, SimulatorServer, WebhookReceiver

CHROMIUM = Path("/usr/bin/chromium")
ANAS_NUMBER, BENS_NUMBER = TO, "+12025550177"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip("no Chromium here")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def populated_simulator(clean_simulator: SimulatorServer, webhook_receiver: WebhookReceiver) -> SimulatorServer:
    hour_ms, now_ms = 3_600_000, int(time.time() * 1000)
    link = "Example Board: Your licence is due. https://example.org/m/4fK2p9 Reply STOP to opt out"
    texts = [
        {"from": FROM, "to": ANAS_NUMBER, "body": link, "at_ms": now_ms - 30 * hour_ms},
        {
            "direction": "inbound",
            "from": ANAS_NUMBER,
            "to": FROM,
            "body": "What is this?",
            "at_ms": now_ms - 2 * hour_ms,
        },
        {"from": FROM, "to": ANAS_NUMBER, "body": "<b>Not bold</b> & safe", "at_ms": now_ms - hour_ms},
        *({"from": FROM, "to": BENS_NUMBER, "body": f"Reminder {n}", "at_ms": now_ms - hour_ms + n} for n in range(5)),
    ]
    clean_simulator.post("/simulator/seed", {"messages": texts})
    clean_simulator.send_from_handset("STOP", BENS_NUMBER)
    _send_email(clean_simulator)
    return clean_simulator


def _send_email(simulator: SimulatorServer) -> None:
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


def _get_page(simulator: SimulatorServer, path: str) -> str:
    answer = requests.get(simulator.url + path, timeout=10)
    assert answer.status_code == 200
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'")
    return answer.text


PATHS = ["/", "/handsets", f"/handsets/{ANAS_NUMBER}", f"/handsets/{BENS_NUMBER}", "/mailbox", "/mailbox/1", "/faults"]


@pytest.mark.parametrize("path", PATHS)
def test_a_page_has_one_heading_and_nothing_inline(populated_simulator: SimulatorServer, path: str) -> None:
    html = _get_page(populated_simulator, path)
    assert html.count("<h1") == 1
    assert "style=" not in html
    assert "<style" not in html
    assert html.count("<script") == html.count('<script type="module" src="/static/live.js">') == 1


def test_texts_are_escaped_and_links_are_links(populated_simulator: SimulatorServer) -> None:
    html = _get_page(populated_simulator, f"/handsets/{ANAS_NUMBER}")
    assert "&lt;b&gt;Not bold&lt;/b&gt; &amp; safe" in html
    assert '<a href="https://example.org/m/4fK2p9" target="_blank" rel="noopener">' in html


def test_mail_is_escaped(clean_simulator: SimulatorServer) -> None:
    with smtplib.SMTP("127.0.0.1", clean_simulator.smtp_port, timeout=10) as smtp:
        smtp.sendmail("a@example.org", "b@example.org", "Subject: <script>x</script>\r\n\r\n<script>y</script>")
    for path in ("/mailbox", "/mailbox/1", "/mailbox?to=<script>z</script>"):
        html = _get_page(clean_simulator, path)
        assert "<script>" not in html
        assert "&lt;script&gt;" in html


def test_a_reply_works_without_a_script(
    populated_simulator: SimulatorServer, webhook_receiver: WebhookReceiver
) -> None:
    url = f"{populated_simulator.url}/handsets/{ANAS_NUMBER}"
    answer = requests.post(url, data={"to": FROM, "body": "Thank you"}, timeout=10)
    assert answer.history[0].status_code == 303
    assert "Thank you" in answer.text
    assert webhook_receiver.posts[-1].params["Body"] == "Thank you"
    refused = requests.post(url, data={"to": FROM, "body": " "}, timeout=10)
    assert refused.status_code == 400
    assert "Type a text" in refused.text


def test_a_reply_nobody_takes_says_so(populated_simulator: SimulatorServer, webhook_receiver: WebhookReceiver) -> None:
    webhook_receiver.status = 500
    answer = requests.post(
        f"{populated_simulator.url}/handsets/{ANAS_NUMBER}", data={"body": "Anybody there?"}, timeout=10
    )
    assert "Not taken: the product answered 500." in answer.text


def test_other_sites_cannot_type_on_a_handset(populated_simulator: SimulatorServer) -> None:
    url, headers = f"{populated_simulator.url}/handsets/{ANAS_NUMBER}", {"Sec-Fetch-Site": "cross-site"}
    assert requests.post(url, data={"body": "STOP"}, headers=headers, timeout=10).status_code == 403


def test_a_phone_is_opened_by_what_a_person_types(populated_simulator: SimulatorServer) -> None:
    url = f"{populated_simulator.url}/handsets/open"
    opened = requests.get(url, params={"number": "(202) 555-0123"}, timeout=10)
    assert opened.url.endswith(f"/handsets/{ANAS_NUMBER}")
    refused = requests.get(url, params={"number": "hello"}, timeout=10)
    assert refused.status_code == 400
    assert 'value="hello"' in refused.text


def test_the_fault_form_sets_and_clears(clean_simulator: SimulatorServer) -> None:
    url = f"{clean_simulator.url}/faults"
    form = {"latency_ms_low": "5", "latency_ms_high": "9", "api_kind": "429", "api_percent": "50", "api_count": "3"}
    shown = requests.post(url, data=form, timeout=10)
    assert '<option value="429" selected>' in shown.text
    faults = clean_simulator.get("/simulator/faults")
    assert faults["latency_ms"] == [5, 9]
    assert (faults["rules"][0]["probability"], faults["rules"][0]["count"]) == (0.5, 3)
    mail = {"smtp_kind": "reply_rcpt", "smtp_words": "550 5.1.1 Nobody", "smtp_extensions": "8bitmime PIPELINING"}
    requests.post(url, data={**form, **mail}, timeout=10)
    assert clean_simulator.get("/simulator/faults")["smtp_extensions"] == ["8BITMIME", "PIPELINING"]
    assert clean_simulator.get("/simulator/faults")["smtp"][0]["words"] == "550 5.1.1 Nobody"
    refused = requests.post(url, data={**form, "api_percent": "150"}, timeout=10)
    assert refused.status_code == 400
    assert 'value="150"' in refused.text
    requests.post(url, data={"clear": "1"}, timeout=10)
    assert clean_simulator.get("/simulator/faults")["rules"] == []


VIEWPORTS: list[tuple[int, Any]] = [(1280, "light"), (390, "dark")]


@pytest.mark.e2e
@pytest.mark.parametrize("path", [*PATHS, "/handsets/open?number=x", "/mailbox?to=nobody"])
def test_a_page_is_accessible(populated_simulator: SimulatorServer, chromium: Browser, path: str) -> None:
    context = chromium.new_context(bypass_csp=True)
    page = context.new_page()
    page.goto(populated_simulator.url + path)
    for width, scheme in VIEWPORTS:
        page.set_viewport_size({"width": width, "height": 844})
        page.emulate_media(color_scheme=scheme)
        results = Axe().run(page)
        assert results.violations_count == 0, f"{scheme}, {width} wide: {results.generate_report()}"
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"
    context.close()


@pytest.fixture
def browser_page(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context()
    page, complaints = context.new_page(), []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert [each for each in complaints if "Blocked script execution" not in each] == []


@pytest.mark.e2e
def test_a_new_text_appears_by_itself(populated_simulator: SimulatorServer, browser_page: Page) -> None:
    browser_page.goto(f"{populated_simulator.url}/handsets")
    populated_simulator.send("Fresh from the portal https://example.org/x")
    expect(browser_page.get_by_text("Fresh from the portal")).to_be_visible()
    expect(browser_page.get_by_role("link", name="https://example.org/x")).to_be_visible()
    expect(browser_page.get_by_role("status")).to_have_text("New on the phone (202) 555-0123")


@pytest.mark.e2e
def test_a_person_stops_and_starts_on_a_handset(populated_simulator: SimulatorServer, browser_page: Page) -> None:
    browser_page.goto(f"{populated_simulator.url}/handsets/{ANAS_NUMBER}")
    browser_page.get_by_role("button", name="Send STOP").click()
    expect(browser_page.get_by_text("Twilio blocks texts from (202) 555-0100")).to_be_visible()
    browser_page.get_by_role("button", name="Send START").click()
    expect(browser_page.get_by_text("Twilio blocks texts")).to_have_count(0)
    browser_page.get_by_label("Reply").fill("Typed by hand")
    browser_page.get_by_role("button", name="Send", exact=True).click()
    expect(browser_page.get_by_text("Typed by hand")).to_be_in_viewport()


@pytest.mark.e2e
def test_a_mail_is_shown_without_running_its_scripts(populated_simulator: SimulatorServer, browser_page: Page) -> None:
    browser_page.goto(f"{populated_simulator.url}/mailbox")
    browser_page.get_by_role("link", name="Your licence is due").click()
    frame = browser_page.frame_locator("iframe")
    expect(frame.get_by_role("heading", name="Due")).to_be_visible()
    expect(frame.get_by_role("link", name="Open")).to_have_attribute("href", "https://example.org/")

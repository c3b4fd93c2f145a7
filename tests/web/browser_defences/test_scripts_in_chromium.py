"""A real browser runs the portal's own scripts only, and makes HTML only of fragments without code."""

from collections.abc import Iterator

import pytest
from flask import Flask, Response, request
from playwright.sync_api import Browser, BrowserContext, Page

from tests.support.browser.served_pages import serve_pages
from tests.support.web_client import PUBLIC_URL, WebClient

pytestmark = pytest.mark.e2e
LIST = f"{PUBLIC_URL}/Admin/Accounts"
SWAP = """async (html) => {
    window.ran = 0
    const answer = () => Promise.resolve(new Response(html, { headers: { "Content-Type": "text/html" } }))
    document.addEventListener("htmx:config:request", ({ detail: { ctx } }) => { ctx.fetch = answer }, { once: true })
    await htmx.ajax("GET", "/Admin/Accounts", { target: "#main", swap: "innerHTML" }).catch(() => {})
    await new Promise((done) => setTimeout(done, 50))
    return [document.getElementById("main").textContent.includes("swapped"), window.ran]
}"""

TRY = "(text) => { try { eval(text); return '' } catch (error) { return error.name } }"
MAKING_HTML = (
    "document.body.innerHTML = '<b>x</b>'",
    "document.body.insertAdjacentHTML('beforeend', '<b>x</b>')",
    "document.createRange().createContextualFragment('<b>x</b>')",
    "document.createElement('script').text = '1'",
    "document.createElement('script').src = '/static/icon.svg'",
    "document.createElement('iframe').srcdoc = '<b>x</b>'",
    "new DOMParser().parseFromString('<b>x</b>', 'text/html')",
    "Document.parseHTMLUnsafe('<b>x</b>')",
    "trustedTypes.createPolicy('another', { createHTML: (text) => text })",
    "trustedTypes.createPolicy('htmx-fragment', { createHTML: (text) => text })",
)
WITHOUT_CODE = (
    "",
    "<p title='onclick=x'>javascript: script</p><input value='javascript:x'>",
    "<div hx-get='/Help' hx-trigger='load[window.ran = 1]'></div>",
)
"""The last one's condition is code that htmx may not evaluate."""
WITH_CODE = (
    "<script>window.ran = 1</script>",
    "<img src=/nowhere onerror='window.ran = 1'>",
    "<a href=' JavaScript:window.ran=1'>x</a>",
    "<form action='javascript:window.ran=1'></form>",
    "<div hx-on:load='window.ran = 1'></div>",
    "<div hx-get='/Help' hx-vals='js:{a: window.ran = 1}' hx-trigger=load></div>",
    "<svg><a xlink:href='javascript:window.ran=1'><text>x</text></a></svg>",
    "<iframe srcdoc='x'></iframe>",
    "<base href='https://evil.example/'>",
    "<template><script>window.ran = 1</script></template>",
)


@pytest.fixture
def context(chromium: Browser, admin: WebClient) -> Iterator[BrowserContext]:
    context = chromium.new_context()
    serve_pages(context, admin)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    page = context.new_page()
    page.goto(LIST)
    page.wait_for_function("window.htmx !== undefined")
    return page


def test_htmx_still_fills_the_list(page: Page) -> None:
    page.get_by_role("searchbox").first.press_sequentially("stan")
    page.wait_for_url("**q=stan**")
    assert page.get_by_text("Stan Stranger").count()
    assert not page.get_by_text("Olive Owner").count()


def test_no_other_script_makes_html_of_a_string(page: Page) -> None:
    outcomes = {attempt: page.evaluate(TRY, attempt) for attempt in MAKING_HTML}
    assert outcomes == dict.fromkeys(MAKING_HTML, "TypeError")


def test_fragment_with_code_is_not_swapped_in(page: Page) -> None:
    for fragment in WITHOUT_CODE:
        assert page.evaluate(SWAP, f"<p>swapped</p>{fragment}") == [True, 0], fragment
    page.reload()
    for fragment in WITH_CODE:
        assert page.evaluate(SWAP, f"<p>swapped</p>{fragment}") == [False, 0], fragment


def test_htmx_leaves_alone_what_people_wrote(page: Page) -> None:
    """Sanitising removes such attributes; should one stay, it does nothing."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    written = "<article hx-ignore><b hx-get='/asked' hx-trigger='load'>swapped</b></article>"
    others = "<i data-hx-get='/prefixed' hx-trigger='load'></i><u hx-get='/live' hx-trigger='load'></u>"
    page.evaluate(SWAP, written + others)
    page.wait_for_timeout(200)
    assert [url for url in asked if url.endswith(("/asked", "/prefixed", "/live"))] == [f"{PUBLIC_URL}/live"]


def test_htmx_asks_no_other_host(page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.evaluate("htmx.ajax('GET', 'https://evil.example/', { target: '#main' }).catch(() => {})")
    page.wait_for_timeout(200)
    assert not [url for url in asked if "evil" in url]


def test_vendored_file_with_one_changed_byte_does_not_run(web_app: Flask, context: BrowserContext) -> None:
    def change_a_byte(response: Response) -> Response:
        if request.path.endswith("htmx.min.js"):
            response.direct_passthrough = False
            response.set_data(response.get_data().replace(b'this.version="4', b'this.version="5'))
        return response

    web_app.after_request_funcs.setdefault(None, []).insert(0, change_a_byte)
    page, said = context.new_page(), list[str]()
    page.on("console", lambda message: said.append(message.text))
    page.goto(LIST, wait_until="load")
    assert page.evaluate("typeof htmx") == "undefined"
    assert any("integrity" in text for text in said)
    assert page.get_by_text("Olive Owner").count(), "the page works without it"

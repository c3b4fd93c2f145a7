"""A browser that gets its pages from a test client: no server, no port, and the time that a test chooses."""

from contextlib import AbstractContextManager, nullcontext
from urllib.parse import urlsplit

import time_machine
from playwright.sync_api import BrowserContext, Route

from tests.support.web_client import PUBLIC_URL, WebClient

_KEPT_BY_THE_CLIENT = {"cookie", "set-cookie", "accept-encoding", "content-length"}
"""The test client has the session, and its answers are neither compressed nor measured."""


def serve_pages(context: BrowserContext, client: WebClient, now_ms: int | None = None) -> None:
    """Answer every request of the browser as `client`, at `now_ms` if given."""

    def serve(route: Route) -> None:
        request, url = route.request, urlsplit(route.request.url)
        with _at(now_ms):
            response = client.client.open(
                f"{url.path}?{url.query}" if url.query else url.path,
                method=request.method,
                data=request.post_data_buffer,
                headers=_passed_on(request.headers),
                base_url=PUBLIC_URL,
            )
        route.fulfill(status=response.status_code, headers=_passed_on(dict(response.headers)), body=response.data)

    context.route("**/*", serve)


def _at(now_ms: int | None) -> AbstractContextManager[object]:
    return nullcontext() if now_ms is None else time_machine.travel(now_ms / 1000, tick=False)


def _passed_on(headers: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _KEPT_BY_THE_CLIENT}

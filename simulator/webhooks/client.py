"""Post signed webhooks to the application as Twilio does: 5 s to connect, 15 s in total, no redirects."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs

import aiohttp
from yarl import URL

from simulator.webhooks.signature import sign

_TIMEOUT = aiohttp.ClientTimeout(total=15, sock_connect=5)
_MAX_CONNECTIONS = 100
_MAX_RESPONSE_BYTES = 64 * 1024
_RETRY_DELAYS_SECONDS = (0.0, 0.5, 1.0, 2.0, 4.0)
"""The delay before each of at most five retries. The first retry is immediate."""


@dataclass(frozen=True)
class WebhookResponse:
    """If there was no response, `status` is None and `error` is the reason."""

    status: int | None
    content_type: str = ""
    text: str = ""
    error: str | None = None

    @property
    def status_or_error(self) -> int | str | None:
        return self.status if self.error is None else self.error


class WebhookClient:
    def __init__(self, auth_token: str) -> None:
        self._auth_token = auth_token
        self._session = aiohttp.ClientSession(
            timeout=_TIMEOUT,
            connector=aiohttp.TCPConnector(limit=_MAX_CONNECTIONS),
            headers={"User-Agent": "TwilioProxy/1.1", "Accept": "*/*"},
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def close(self) -> None:
        await self._session.close()

    async def post(self, url: str, params: Mapping[str, str]) -> WebhookResponse:
        """Retry once if no connection could be made, unless the URL's fragment overrides the retries."""
        retries, retry_on = retry_policy(url)
        for delay_seconds in _RETRY_DELAYS_SECONDS[:retries]:
            response, connected = await self._post_once(url, params)
            if not retry_on & _failure_kinds(response, connected):
                return response
            await asyncio.sleep(delay_seconds)
        response, _ = await self._post_once(url, params)
        return response

    async def _post_once(self, url: str, params: Mapping[str, str]) -> tuple[WebhookResponse, bool]:
        """The response, and whether a connection was made."""
        requested_url = url.partition("#")[0]
        headers = {"X-Twilio-Signature": sign(self._auth_token, requested_url, params)}
        try:
            async with self._session.post(
                URL(requested_url, encoded=True), data=dict(params), headers=headers, allow_redirects=False
            ) as response:
                text = (await response.content.read(_MAX_RESPONSE_BYTES)).decode("utf-8", "replace")
                return WebhookResponse(response.status, response.content_type, text), True
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            return WebhookResponse(None, error=f"no connection: {error}"), False
        except (TimeoutError, aiohttp.ClientError, ValueError) as error:
            return WebhookResponse(None, error=str(error) or type(error).__name__), True


def retry_policy(url: str) -> tuple[int, set[str]]:
    """The number of retries and the failures to retry on (ct, rt, 4xx, 5xx), from the connection overrides in the URL.

    See docs/twilio.md#webhooks.
    """
    overrides = parse_qs(url.partition("#")[2])
    count, retry_on = overrides.get("rc", ["1"])[0], set(overrides.get("rp", ["ct"])[0].split(","))
    is_valid = count.isdigit() and int(count) <= len(_RETRY_DELAYS_SECONDS)
    return int(count) if is_valid else 1, {"ct", "rt", "4xx", "5xx"} if "all" in retry_on else retry_on


def _failure_kinds(response: WebhookResponse, connected: bool) -> set[str]:
    if response.status is None:
        return {"rt"} if connected else {"ct"}
    return {f"{response.status // 100}xx"}

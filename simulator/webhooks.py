"""Signed POSTs to the product, the way Twilio makes them: 5 s to connect, 15 s in all, no redirects."""

from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
from yarl import URL

from simulator.signature import sign

_TIMEOUT = aiohttp.ClientTimeout(total=15, sock_connect=5)
_CONNECTIONS = 100
_LARGEST_ANSWER = 64 * 1024


@dataclass(frozen=True)
class Answer:
    """`status` None: nobody answered, and `error` says why."""

    status: int | None
    content_type: str = ""
    text: str = ""
    error: str | None = None


class Webhooks:
    def __init__(self, auth_token: str) -> None:
        self._auth_token = auth_token
        self._session = aiohttp.ClientSession(
            timeout=_TIMEOUT,
            connector=aiohttp.TCPConnector(limit=_CONNECTIONS),
            headers={"User-Agent": "TwilioProxy/1.1", "Accept": "*/*"},
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def close(self) -> None:
        await self._session.close()

    async def post(self, url: str, params: Mapping[str, str]) -> Answer:
        """One retry, and only when no connection came about."""
        answer, connected = await self._post_once(url, params)
        if not connected:
            answer, _ = await self._post_once(url, params)
        return answer

    async def _post_once(self, url: str, params: Mapping[str, str]) -> tuple[Answer, bool]:
        called = url.partition("#")[0]
        headers = {"X-Twilio-Signature": sign(self._auth_token, called, params)}
        try:
            async with self._session.post(
                URL(called, encoded=True), data=dict(params), headers=headers, allow_redirects=False
            ) as response:
                text = (await response.content.read(_LARGEST_ANSWER)).decode("utf-8", "replace")
                return Answer(response.status, response.content_type, text), True
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            return Answer(None, error=f"no connection: {error}"), False
        except (TimeoutError, aiohttp.ClientError, ValueError) as error:
            return Answer(None, error=str(error) or type(error).__name__), True

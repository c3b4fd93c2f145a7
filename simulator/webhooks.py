"""Signed POSTs to the product, the way Twilio makes them: 5 s to connect, 15 s in all, no redirects."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs

import aiohttp
from yarl import URL

from simulator.signature import sign

_TIMEOUT = aiohttp.ClientTimeout(total=15, sock_connect=5)
_CONNECTIONS = 100
_LARGEST_ANSWER = 64 * 1024
_WAITS_SECONDS = (0.0, 0.5, 1.0, 2.0, 4.0)
"""Before each of the at most five retries: the first follows at once."""


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
        """One retry, and only when no connection came about, unless the URL's fragment asks for others."""
        retries, kinds = wanted_retries(url)
        for wait_seconds in _WAITS_SECONDS[:retries]:
            answer, connected = await self._post_once(url, params)
            if not kinds & _kinds_of(answer, connected):
                return answer
            await asyncio.sleep(wait_seconds)
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


def wanted_retries(url: str) -> tuple[int, set[str]]:
    """How many retries, after which failures: ct, rt, 4xx, 5xx (docs/twilio.md#webhook-retries)."""
    wanted = parse_qs(url.partition("#")[2])
    count, kinds = wanted.get("rc", ["1"])[0], set(wanted.get("rp", ["ct"])[0].split(","))
    known = count.isdigit() and int(count) <= len(_WAITS_SECONDS)
    return int(count) if known else 1, {"ct", "rt", "4xx", "5xx"} if "all" in kinds else kinds


def _kinds_of(answer: Answer, connected: bool) -> set[str]:
    if answer.status is None:
        return {"rt"} if connected else {"ct"}
    return {f"{answer.status // 100}xx"}

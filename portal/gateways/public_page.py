"""Fetches one of our public pages by its public address, as a reviewer's browser would."""

from typing import Literal

import requests
from urllib3.exceptions import HTTPError, NameResolutionError

from portal.gateways.rules.fetched_page import FetchedPage

_TIMEOUT = (3.0, 4.0)
_MAX_BYTES = 1_000_000


def fetch_page(url: str) -> FetchedPage:
    """Follows no redirect, because reviewers want the address that they were given. Never raises."""
    try:
        with requests.Session() as session:
            session.trust_env = False
            response = session.get(url, timeout=_TIMEOUT, allow_redirects=False, stream=True)
            content = response.raw.read(_MAX_BYTES, decode_content=True)
        location = response.headers.get("Location", "")
        return FetchedPage(response.status_code, content.decode("utf-8", "replace"), location)
    except requests.exceptions.SSLError:
        return FetchedPage(error="certificate")
    except requests.Timeout:
        return FetchedPage(error="time-out")
    except requests.ConnectionError as error:
        return FetchedPage(error=connection_problem(error))
    except (requests.RequestException, HTTPError, ValueError):
        return FetchedPage(error="answer")


def connection_problem(error: requests.ConnectionError) -> Literal["name", "connection"]:
    """“name” if the host is not in the DNS, else “connection”."""
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    return "name" if isinstance(reason, NameResolutionError) else "connection"

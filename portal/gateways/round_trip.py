"""Checks our webhooks through the public URL: one call with a valid signature and one with a forged one."""

import secrets

import requests
from twilio.request_validator import RequestValidator
from urllib3.exceptions import HTTPError

from portal.gateways.public_page import connection_problem
from portal.gateways.rules.webhook_round_trip import CHECK_WEBHOOK_PATH, RoundTripResult

_TIMEOUT = (3.0, 4.0)
_FORGED_TOKEN = "not a valid token"  # noqa: S105


def probe_webhook(public_url: str, token: str) -> RoundTripResult:
    """The URL has a query string, because the status callback has one and a proxy may drop it."""
    url = f"{public_url}{CHECK_WEBHOOK_PATH}?attempt=check-{secrets.token_hex(8)}"
    try:
        response = _post(url, token)
        if response.status_code != requests.codes.no_content:
            return RoundTripResult(response.status_code, location=response.headers.get("Location", ""))
        return RoundTripResult(response.status_code, forged_status=_post(url, _FORGED_TOKEN).status_code)
    except requests.exceptions.SSLError:
        return RoundTripResult(error="certificate")
    except requests.Timeout:
        return RoundTripResult(error="time-out")
    except requests.ConnectionError as error:
        return RoundTripResult(error=connection_problem(error))
    except (requests.RequestException, HTTPError, ValueError):
        return RoundTripResult(error="answer")


def _post(url: str, token: str) -> requests.Response:
    form = {"CheckOf": "signatures", "Nonce": secrets.token_hex(8)}
    headers = {"X-Twilio-Signature": str(RequestValidator(token).compute_signature(url, form))}
    with requests.Session() as session:
        session.trust_env = False
        return session.post(url, data=form, headers=headers, timeout=_TIMEOUT, allow_redirects=False)

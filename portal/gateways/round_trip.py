"""A POST to our own public address, signed as Twilio signs; and the same with a signature that is not right."""

import secrets

import requests
from twilio.request_validator import RequestValidator
from urllib3.exceptions import HTTPError, NameResolutionError

from portal.gateways.rules.webhook_round_trip import CHECK_WEBHOOK_PATH, RoundTripResult

_TIMEOUT = (3.0, 4.0)
_NOT_THE_TOKEN = "not the token of anybody"  # noqa: S105  a forger's guess


def probe_webhook(public_url: str, token: str) -> RoundTripResult:
    """With a query, because the status address has one and a proxy may lose it."""
    url = f"{public_url}{CHECK_WEBHOOK_PATH}?attempt=check-{secrets.token_hex(8)}"
    try:
        answer = _post(url, token)
        if answer.status_code != requests.codes.no_content:
            return RoundTripResult(answer.status_code, location=answer.headers.get("Location", ""))
        return RoundTripResult(answer.status_code, forged_status=_post(url, _NOT_THE_TOKEN).status_code)
    except requests.exceptions.SSLError:
        return RoundTripResult(error="certificate")
    except requests.Timeout:
        return RoundTripResult(error="time-out")
    except requests.ConnectionError as error:
        return RoundTripResult(error="name" if _is_unknown_name(error) else "connection")
    except (requests.RequestException, HTTPError, ValueError):
        return RoundTripResult(error="answer")


def _post(url: str, token: str) -> requests.Response:
    form = {"CheckOf": "signatures", "Nonce": secrets.token_hex(8)}
    headers = {"X-Twilio-Signature": str(RequestValidator(token).compute_signature(url, form))}
    with requests.Session() as session:
        session.trust_env = False
        return session.post(url, data=form, headers=headers, timeout=_TIMEOUT, allow_redirects=False)


def _is_unknown_name(error: requests.ConnectionError) -> bool:
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    return isinstance(reason, NameResolutionError)

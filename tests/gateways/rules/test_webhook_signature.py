"""Webhook signatures: what Twilio may sign, and the cause of a rejected call."""

from typing import Any

import pytest
from twilio.request_validator import RequestValidator
from werkzeug.datastructures import MultiDict

from portal.gateways.rules.webhook_signature import WebhookCall, is_signed_by
from portal.operations.rules.rejection_reasons import (
    RejectedCalls,
    RejectionCause,
    WebhookRejection,
    candidate_urls,
    classify_rejection,
    identifies_us,
)

TOKEN, BASE, PATH = "12345", "https://portal.example.org", "/webhooks/twilio/status"
FIELDS = {"MessageSid": ["SM1"], "MessageStatus": ["sent"], "Empty": [""], "Media": ["b", "a", "b"]}
ACCOUNT_SID, SENDERS = "AC1", ["+12025550100", ""]


def signed(url: str, fields: dict[str, list[str]] | None = None, algorithm: str = "HMAC_SHA1") -> str:
    """The signature that Twilio's own library computes."""
    values = MultiDict([(name, value) for name, values in (fields or {}).items() for value in values])
    return str(RequestValidator(TOKEN).compute_signature(url, values, algorithm))


def call(signature: str = "A" * 28, **changes: object) -> WebhookCall:
    defaults: dict[str, object] = {"path": PATH, "query": "attempt=a", "fields": FIELDS, "signature": signature}
    return WebhookCall(**{**defaults, **changes})  # type: ignore[arg-type]


def test_twilios_own_example_verifies() -> None:
    fields = {
        "CallSid": ["CA1234567890ABCDE"],
        "Caller": ["+14158675309"],
        "Digits": ["1234"],
        "From": ["+14158675309"],
        "To": ["+18005551212"],
    }
    example = WebhookCall("/myapp.php", "foo=1&bar=2", fields, "RSOYDt4T1cUTdK1PDd93/VVr8B8=")
    assert is_signed_by(example, TOKEN, "https://mycompany.com")


@pytest.mark.parametrize("fragment", ["", "#rc=3&rp=5xx,ct,rt", "#rc=3", "#rc=3&rp=all", "#rc=5&rp=all", "#rc=1"])
@pytest.mark.parametrize("base", [BASE, f"{BASE}:443", "http://10.0.0.7:8443", "http://u:p@h:81", "http://[::1]:81"])
def test_ports_fragments_and_repeated_fields_verify(fragment: str, base: str) -> None:
    url = f"{base}{PATH}?attempt=a"
    public = base.removesuffix(":443")
    assert is_signed_by(call(signed(f"{url}{fragment}", FIELDS)), TOKEN, public)
    assert not is_signed_by(call(signed(f"{url}x{fragment}", FIELDS)), TOKEN, public)
    assert not is_signed_by(call(signed(f"{url}{fragment}", {**FIELDS, "Media": ["a"]})), TOKEN, public)


def test_signature_may_leave_out_the_port() -> None:
    assert is_signed_by(call(signed(f"https://h{PATH}?attempt=a", FIELDS)), TOKEN, "https://h:8443")


@pytest.mark.parametrize(
    ("signature_settings", "algorithm", "good"),
    [
        ("", "HMAC_SHA1", True),
        ("", "HMAC_SHA256", False),
        ("key=webhooks_sharedkey_1,algorithm=HMAC_SHA256", "HMAC_SHA256", True),
        ("algorithm = hmac_sha256", "HMAC_SHA256", True),
        ("key=webhooks_sharedkey_1", "HMAC_SHA1", True),
        ("algorithm=HMAC_SHA256", "HMAC_SHA1", False),
        ("algorithm=ROT13", "HMAC_SHA1", False),
    ],
)
def test_header_names_the_algorithm(signature_settings: str, algorithm: str, good: bool) -> None:
    signature = signed(f"{BASE}{PATH}?attempt=a", FIELDS, algorithm)
    assert is_signed_by(call(signature, signature_settings=signature_settings), TOKEN, BASE) is good


def test_call_without_a_form_matches_nothing() -> None:
    assert not is_signed_by(call(signed(f"{BASE}{PATH}?attempt=a"), fields={}), TOKEN, BASE)


@pytest.mark.parametrize("signature", ["x", "é" * 28, "=" * 28, "=" * 5000, "\ud800" * 28])
def test_malformed_signature_matches_nothing(signature: str) -> None:
    assert not is_signed_by(call(signature), TOKEN, BASE)


@pytest.mark.parametrize(
    ("called", "headers", "expected"),
    [
        (f"http://portal.example.org{PATH}", {}, f"http://portal.example.org{PATH}"),
        (f"https://old.example.org{PATH}", {"Host": "old.example.org"}, f"https://old.example.org{PATH}"),
        (
            f"https://edge.example.org{PATH}",
            {"X-Forwarded-Host": "edge.example.org"},
            f"https://edge.example.org{PATH}",
        ),
        (f"{BASE}:8443{PATH}", {"Host": "portal.example.org:8443"}, f"{BASE}:8443{PATH}"),
        (f"{BASE}:8443{PATH}", {"X-Forwarded-Port": "8443"}, f"{BASE}:8443{PATH}"),
        (f"{BASE}{PATH}/", {}, f"{BASE}{PATH}/"),
        (f"{BASE}/portal{PATH}", {"X-Forwarded-Prefix": "/portal/"}, f"{BASE}/portal{PATH}"),
        (f"{BASE}/hooks/in", {"X-Original-URI": "/hooks/in?attempt=a"}, f"{BASE}/hooks/in"),
    ],
)
def test_rejection_names_the_url_that_twilio_called(called: str, headers: dict[str, str], expected: str) -> None:
    rejected = call(signed(f"{called}?attempt=a", FIELDS))
    assert not is_signed_by(rejected, TOKEN, BASE)
    urls = candidate_urls(rejected, BASE, headers)
    rejection = WebhookRejection(RejectionCause.ADDRESS, True, expected)
    assert classify_rejection(rejected, [TOKEN], False, ACCOUNT_SID, ACCOUNT_SID, urls) == rejection


@pytest.mark.parametrize(
    ("changes", "tokens", "cause", "is_ours"),
    [
        ({}, [TOKEN], RejectionCause.TOKEN, False),
        ({"payload": {"AccountSid": "AC1"}}, [TOKEN], RejectionCause.TOKEN, True),
        ({"payload": {"To": "+12025550100"}}, [TOKEN], RejectionCause.TOKEN, True),
        ({"payload": {"From": "+12025550100", "AccountSid": "AC2"}}, [TOKEN], RejectionCause.OTHER_ACCOUNT, True),
        ({"payload": {"AccountSid": "AC2"}}, [TOKEN], RejectionCause.TOKEN, False),
        ({"signature": ""}, [TOKEN], RejectionCause.UNSIGNED, False),
        ({"signature_settings": "key=k,algorithm=HMAC_SHA256"}, [TOKEN], RejectionCause.SHARED_KEY, False),
        ({"payload": {"AccountSid": "AC1"}}, [], RejectionCause.NO_TOKEN, True),
    ],
)
def test_rejection_has_its_likely_cause(
    changes: dict[str, Any], tokens: list[str], cause: RejectionCause, is_ours: bool
) -> None:
    payload = changes.get("payload", {})
    rejected = call(**{name: value for name, value in changes.items() if name != "payload"})
    urls = candidate_urls(rejected, BASE, {"Host": "h" * 300})
    named, called_sid = identifies_us(payload, ACCOUNT_SID, SENDERS), payload.get("AccountSid", ACCOUNT_SID)
    rejection = classify_rejection(rejected, tokens, named, called_sid, ACCOUNT_SID, urls)
    assert rejection == WebhookRejection(cause, is_ours)


def test_alarm_ends_with_an_accepted_call_or_new_credentials() -> None:
    wrong = WebhookRejection(RejectionCause.TOKEN, True)
    assert RejectedCalls("status", wrong, 3, last_ms=5_000).needs_attention(6_000)
    assert not RejectedCalls("status", wrong, 3, last_ms=5_000, last_accepted_ms=5_500).needs_attention(6_000)
    assert not RejectedCalls("status", wrong, 3, last_ms=5_000, credentials_changed_ms=5_500).needs_attention(6_000)
    assert not RejectedCalls("status", WebhookRejection(RejectionCause.TOKEN, False), 3, last_ms=5_000).needs_attention(
        6_000
    )
    address = RejectedCalls(
        "inbound", WebhookRejection(RejectionCause.ADDRESS, True), 3, last_ms=5_000, last_accepted_ms=5_500
    )
    assert address.needs_attention(6_000), "one of several numbers may have the wrong one"
    assert not address.needs_attention(5_000 + 3_600_001)

"""Signatures of webhooks: what Twilio may sign, and what a refusal says."""

import hashlib

import pytest
from twilio.request_validator import RequestValidator
from werkzeug.datastructures import MultiDict

from portal.gateways.rules.webhook_signature import WebhookCall, is_signed_by
from portal.operations.rules.rejection_reasons import (
    OwnIdentifiers,
    RejectedCalls,
    RejectionCause,
    WebhookRejection,
    candidate_urls,
    classify_rejection,
)

TOKEN, BASE, PATH = "12345", "https://portal.example.org", "/webhooks/twilio/status"
FIELDS = {"MessageSid": ["SM1"], "MessageStatus": ["sent"], "Empty": [""], "Media": ["b", "a", "b"]}
OURS = OwnIdentifiers("AC1", {"+12025550100"})


def signed(url: str, fields: dict[str, list[str]] | None = None, algorithm: str = "HMAC_SHA1") -> str:
    """As Twilio's own library makes it, of which ours is independent."""
    values = MultiDict([(name, one) for name, several in (fields or {}).items() for one in several])
    return str(RequestValidator(TOKEN).compute_signature(url, values, algorithm))


def call(made: str = "A" * 28, **changes: object) -> WebhookCall:
    known: dict[str, object] = {"path": PATH, "query": "attempt=a", "fields": FIELDS, "signature": made}
    return WebhookCall(**{**known, **changes})  # type: ignore[arg-type]


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


def test_the_port_that_is_usual_may_be_left_out_of_the_signature() -> None:
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
def test_the_algorithm_is_the_one_that_the_header_names(settings: str, algorithm: str, good: bool) -> None:
    signature = signed(f"{BASE}{PATH}?attempt=a", FIELDS, algorithm)
    assert is_signed_by(call(signature, signature_settings=settings), TOKEN, BASE) is good


def test_a_json_body_is_the_one_whose_hash_is_signed() -> None:
    body = '{"MessageSid": "SM1", "Body": "é"}'.encode()
    query = f"attempt=a&bodySHA256={hashlib.sha256(body).hexdigest()}"
    signature = signed(f"{BASE}{PATH}?{query}")
    assert is_signed_by(call(signature, query=query, fields={}, body=body), TOKEN, BASE)
    assert not is_signed_by(call(signature, query=query, fields={}, body=body + b" "), TOKEN, BASE)
    unhashed = call(signed(f"{BASE}{PATH}?attempt=a"), fields={}, body=body)
    assert not is_signed_by(unhashed, TOKEN, BASE)


@pytest.mark.parametrize("signature", ["x", "é" * 28, "=" * 28, "=" * 5000, "\ud800" * 28])
def test_what_is_no_signature_fits_nothing(signature: str) -> None:
    assert not is_signed_by(call(signature), TOKEN, BASE)


@pytest.mark.parametrize(
    ("called", "headers", "shown"),
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
def test_a_wrong_address_is_told_by_the_address_that_was_called(
    called: str, headers: dict[str, str], shown: str
) -> None:
    refused = call(signed(f"{called}?attempt=a", FIELDS))
    assert not is_signed_by(refused, TOKEN, BASE)
    bases = candidate_urls(refused, BASE, headers)
    assert classify_rejection(refused, [TOKEN], False, {}, OURS, bases) == WebhookRejection(
        RejectionCause.ADDRESS, True, shown
    )


@pytest.mark.parametrize(
    ("changes", "tokens", "cause", "names_us"),
    [
        ({}, [TOKEN], RejectionCause.TOKEN, False),
        ({"said": {"AccountSid": "AC1"}}, [TOKEN], RejectionCause.TOKEN, True),
        ({"said": {"To": "+12025550100"}}, [TOKEN], RejectionCause.TOKEN, True),
        ({"said": {"From": "+12025550100", "AccountSid": "AC2"}}, [TOKEN], RejectionCause.OTHER_ACCOUNT, True),
        ({"said": {"AccountSid": "AC2"}}, [TOKEN], RejectionCause.TOKEN, False),
        ({"signature": ""}, [TOKEN], RejectionCause.UNSIGNED, False),
        ({"signature_settings": "key=k,algorithm=HMAC_SHA256"}, [TOKEN], RejectionCause.SHARED_KEY, False),
        ({"said": {"AccountSid": "AC1"}}, [], RejectionCause.NO_TOKEN, True),
    ],
)
def test_every_refusal_has_its_likely_cause(
    changes: dict[str, object], tokens: list[str], cause: RejectionCause, ours: bool
) -> None:
    said = changes.pop("said", {})
    refused = call(**changes)  # type: ignore[arg-type]
    bases = candidate_urls(refused, BASE, {"Host": "h" * 300})
    assert classify_rejection(refused, tokens, OURS.appear_in(said), said, OURS, bases) == WebhookRejection(cause, ours)  # type: ignore[arg-type]


def test_an_alarm_ends_with_the_next_call_that_is_believed_or_with_other_credentials() -> None:
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

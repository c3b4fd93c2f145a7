"""Why a webhook call was rejected for its signature, and whether that needs attention.

Anybody can call a webhook, so a rejection alone proves nothing. It needs attention when the call names something that
only Twilio, or somebody who knows the account, can know: the account, a sending number or an attempt. The strongest
evidence is a signature by our own token for another URL: only Twilio can make one.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from portal.gateways.rules.webhook_signature import URL_FRAGMENTS, WebhookCall, matches_signature
from portal.operations.rules.checks import CheckResult
from portal.operations.rules.public_url_checks import ROUND_TRIP, display_url

_OUR_FRAGMENTS = URL_FRAGMENTS[:2]
_DAY_MS, _EXPIRY_MS, _HOUR_MS = 86_400_000, 30 * 86_400_000, 3_600_000
_ORIGINAL_URL_HEADERS = ("X-Original-URI", "X-Original-URL", "X-Rewrite-URL")
PROXY_URL_HEADERS = ("Host", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Prefix", *_ORIGINAL_URL_HEADERS)
"""What tells of the address that was called; anybody can write them, so they prove nothing by themselves."""
_MAX_HOST_LENGTH = 253
_ENDPOINT_LABELS = {
    "inbound": "START, STOP and other texts from handsets",
    "status": "Receipts",
    "unknown_webhook": "Calls to a webhook that the portal does not have",
}
WEBHOOK_ENDPOINTS = tuple(_ENDPOINT_LABELS)


class RejectionCause(StrEnum):
    """The likely cause, as rows and metrics have it."""

    NO_TOKEN = "no_token"  # noqa: S105  a name, no secret
    UNSIGNED = "unsigned"
    ADDRESS = "address"
    SHARED_KEY = "shared_key"
    OTHER_ACCOUNT = "other_account"
    TOKEN = "token"  # noqa: S105


_CAUSE_TEXTS = {
    RejectionCause.NO_TOKEN: (
        "no AuthToken is set, and Twilio signs with it, never with an API key",
        "Add AuthToken to SmsGatewayAuthentication.",
    ),
    RejectionCause.UNSIGNED: (
        "the signature is missing, so a proxy takes the header X-Twilio-Signature away, or it was not Twilio",
        "Let the proxy pass every header on.",
    ),
    RejectionCause.ADDRESS: (
        "Twilio called {detail}, which is not the address that PORTAL_PUBLIC_URL makes",
        "Set PORTAL_PUBLIC_URL to the address that Twilio calls, or set our addresses at Twilio: "
        "portal doctor --set-webhooks",
    ),
    RejectionCause.SHARED_KEY: (
        "Twilio signs with a shared key, and the portal checks with the account's AuthToken alone",
        "In Twilio's webhook settings take the shared key off the rule for the portal's addresses.",
    ),
    RejectionCause.OTHER_ACCOUNT: (
        "they are signed by another Twilio account than that of SmsGatewayAuthentication, such as a subaccount",
        "Set the credentials of the account that has the sending number.",
    ),
    RejectionCause.TOKEN: (
        "the AuthToken is not the one that Twilio signs with: it was rotated, or the secondary one was promoted; or "
        "a proxy changes what Twilio says",
        "Copy the primary Auth Token from Twilio's console into AuthToken of SmsGatewayAuthentication. While Twilio "
        "changes from one token to the other, keep the former as PreviousAuthToken.",
    ),
}


@dataclass(frozen=True)
class OwnIdentifiers:
    """What a call can name to show that it concerns us."""

    account_sid: str
    senders: Collection[str]

    def appear_in(self, params: Mapping[str, str]) -> bool:
        numbers = {params.get(name) for name in ("To", "From", "MessagingServiceSid")}
        return bool(numbers & set(self.senders)) or params.get("AccountSid", "") in {self.account_sid} - {""}


@dataclass(frozen=True)
class WebhookRejection:
    """`detail` is the address that was called, where the signature proves it."""

    cause: RejectionCause
    names_us: bool
    detail: str = ""


@dataclass(frozen=True)
class RejectedCalls:
    """Rejected calls to one of `WEBHOOK_ENDPOINTS`, counted by cause.

    `last_accepted_ms` is the last accepted call, `credentials_changed_ms` the last change of credentials (0: never).
    """

    endpoint: str
    refusal: WebhookRejection
    call_count: int
    last_ms: int
    last_accepted_ms: int = 0
    credentials_changed_ms: int = 0

    def needs_attention(self, now_ms: int) -> bool:
        """Whether somebody should look into it: no call was accepted there since, and no credentials were set.

        A proven wrong address may belong to one of several numbers, so it counts for an hour whatever else comes.
        """
        if not self.refusal.names_us or now_ms - self.last_ms > _EXPIRY_MS:
            return False
        if self.refusal.cause is RejectionCause.ADDRESS:
            return self.last_ms > self.last_accepted_ms or now_ms - self.last_ms < _HOUR_MS
        return self.last_ms > max(self.last_accepted_ms, self.credentials_changed_ms)

    @property
    def message(self) -> str:
        why = _CAUSE_TEXTS[self.refusal.cause][0].format(detail=self.refusal.detail)
        calls = "1 call" if self.call_count == 1 else f"{self.call_count:,} calls"
        return f"{_ENDPOINT_LABELS[self.endpoint]} are refused, {calls} so far: {why}."

    @property
    def fix(self) -> str:
        return _CAUSE_TEXTS[self.refusal.cause][1]


def classify_rejection(
    call: WebhookCall,
    tokens: Sequence[str],
    names_us: bool,
    params: Mapping[str, str],
    ours: OwnIdentifiers,
    urls: Sequence[str],
) -> WebhookRejection:
    """`names_us`: what the call `params` names us. `urls` are those it may have gone to (`candidate_urls`)."""
    if not tokens:
        return WebhookRejection(RejectionCause.NO_TOKEN, names_us)
    if not call.signature:
        return WebhookRejection(RejectionCause.UNSIGNED, names_us)
    if address := next((one for one in urls if _proves_url(call, tokens, one)), None):
        return WebhookRejection(RejectionCause.ADDRESS, True, display_url(address))
    if call.signature_settings:
        return WebhookRejection(RejectionCause.SHARED_KEY, names_us)
    is_of_another = names_us and params.get("AccountSid", "") not in ("", ours.account_sid)
    return WebhookRejection(RejectionCause.OTHER_ACCOUNT if is_of_another else RejectionCause.TOKEN, names_us)


def candidate_urls(call: WebhookCall, public_url: str, headers: Mapping[str, str]) -> list[str]:
    """Where the call may have gone in truth: other hosts, ports, schemes and paths, as the proxies before us tell."""
    public = urlsplit(public_url)
    port = headers.get("X-Forwarded-Port", "")
    hosts = [headers.get("X-Forwarded-Host", ""), headers.get("Host", ""), public.netloc, public.hostname or ""]
    hosts += [f"{public.hostname}:{port}"] if port.isdecimal() else []
    prefix = headers.get("X-Forwarded-Prefix", "").rstrip("/")
    paths = [call.path, f"{public.path}{call.path}", f"{prefix}{call.path}"]
    turned = [path[:-1] if path.endswith("/") else f"{path}/" for path in paths]
    query = f"?{call.query}" if call.query else ""
    asked = [headers.get(name, "") for name in _ORIGINAL_URL_HEADERS]
    ends = [f"{path}{query}" for path in (*paths, *turned)] + [path for path in asked if path.startswith("/")]
    hosts = [host for host in dict.fromkeys(hosts) if host and len(host) <= _MAX_HOST_LENGTH]
    made = (f"{scheme}://{host}{end}" for scheme in ("https", "http") for host in hosts for end in dict.fromkeys(ends))
    return list(dict.fromkeys(made))


def check_signatures(found: Sequence[RejectedCalls], round_trip: CheckResult, now_ms: int) -> CheckResult:
    """The doctor's line on signatures: what our own call showed, unless what others showed is worse.

    What nobody can tell from a stranger's try is said too, and is no more than a warning.
    """
    standing = [one for one in found if one.needs_attention(now_ms)]
    unknown = [one for one in found if not one.refusal.names_us and now_ms - one.last_ms < _DAY_MS]
    params = [one.message for one in standing or unknown]
    if not params:
        return round_trip
    mends = [one.fix for one in standing] or [_UNRELATED_CALLS_FIX]
    failed = round_trip.verdict == "failing"
    why = " ".join(
        [round_trip.reason] * failed + params + ["They name neither our account nor a number of ours."] * (not standing)
    )
    fix = " ".join(dict.fromkeys([round_trip.fix] * failed + mends))
    return ROUND_TRIP.failing(why, fix) if failed or standing else ROUND_TRIP.warning(why, fix)


_UNRELATED_CALLS_FIX = "If texts and receipts arrive, a stranger tries the webhooks, and there is nothing to do."


def _proves_url(call: WebhookCall, tokens: Sequence[str], address: str) -> bool:
    return any(matches_signature(call, token, address, _OUR_FRAGMENTS) for token in tokens)

"""Why a webhook call was rejected for its signature, and whether that needs attention.

Anybody can call a webhook, so a rejection alone proves nothing. It needs attention when the call names something that
only Twilio, or somebody who knows the account, can know: the account, a sending number or an attempt. The strongest
evidence is a signature by our own token for another URL: only Twilio can make one.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from portal.core.translation import N_, ngettext
from portal.core.translation import gettext as _
from portal.gateways.rules.webhook_signature import URL_FRAGMENTS, WebhookCall, matches_signature
from portal.operations.rules.checks import CheckResult
from portal.operations.rules.public_url_checks import ROUND_TRIP, display_url

_OUR_FRAGMENTS = URL_FRAGMENTS[:2]
_HOUR_MS, _DAY_MS, _EXPIRY_MS = 3_600_000, 86_400_000, 30 * 86_400_000
_ORIGINAL_URL_HEADERS = ("X-Original-URI", "X-Original-URL", "X-Rewrite-URL")
PROXY_URL_HEADERS = ("Host", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Prefix", *_ORIGINAL_URL_HEADERS)
"""Headers that hint at the URL that was called. Anybody can forge them, so they prove nothing by themselves."""
_MAX_HOST_LENGTH = 253
_ENDPOINT_REFUSALS = {
    "inbound": N_("START, STOP and other texts from phones are refused: %(reason)s."),
    "status": N_("Receipts are refused: %(reason)s."),
    "unknown_webhook": N_("Calls to a webhook that the portal does not have are refused: %(reason)s."),
}
_UNRELATED_CALLS_FIX = N_("If texts and receipts arrive, a stranger is trying the webhooks, and no action is needed.")


class RejectionCause(StrEnum):
    """The likely cause; the value is stored and is a label of the metrics."""

    NO_TOKEN = "no_token"  # noqa: S105  a name, no secret
    UNSIGNED = "unsigned"
    ADDRESS = "address"
    SHARED_KEY = "shared_key"
    OTHER_ACCOUNT = "other_account"
    TOKEN = "token"  # noqa: S105


_CAUSE_TEXTS = {
    RejectionCause.NO_TOKEN: (
        N_("no AuthToken is set, and Twilio signs with it, never with an API key"),
        N_("Add AuthToken to SmsGatewayAuthentication."),
    ),
    RejectionCause.UNSIGNED: (
        N_("the signature is missing: a proxy removes the header X-Twilio-Signature, or the caller is not Twilio"),
        N_("Let the proxy pass on every header."),
    ),
    RejectionCause.ADDRESS: (
        N_("Twilio called %(url)s, which does not match PORTAL_PUBLIC_URL"),
        N_("Set PORTAL_PUBLIC_URL to the address that Twilio calls, or set ours there: portal doctor --set-webhooks"),
    ),
    RejectionCause.SHARED_KEY: (
        N_("Twilio signs with a shared key, but the portal checks only with the account’s AuthToken"),
        N_("In Twilio’s webhook settings, remove the shared key from the rule for the portal’s addresses."),
    ),
    RejectionCause.OTHER_ACCOUNT: (
        N_("they are signed by another Twilio account than the one in SmsGatewayAuthentication, such as a subaccount"),
        N_("Set the credentials of the account that owns the sending number."),
    ),
    RejectionCause.TOKEN: (
        N_(
            "the AuthToken is not the one that Twilio signs with, because it was rotated or the secondary promoted, "
            "or a proxy changes the call"
        ),
        N_(
            "Copy the primary Auth Token from Twilio’s console into AuthToken of SmsGatewayAuthentication. While "
            "Twilio changes tokens, keep the old one as PreviousAuthToken."
        ),
    ),
}


@dataclass(frozen=True)
class WebhookRejection:
    """`detail` is the URL that was called, if the signature proves it."""

    cause: RejectionCause
    names_us: bool
    detail: str = ""


@dataclass(frozen=True)
class RejectedCalls:
    """Rejected calls to one webhook, counted by cause.

    `last_accepted_ms` is the last accepted call, `credentials_changed_ms` the last change of credentials (0: never).
    """

    endpoint: str
    rejection: WebhookRejection
    call_count: int
    last_ms: int
    last_accepted_ms: int = 0
    credentials_changed_ms: int = 0

    def needs_attention(self, now_ms: int) -> bool:
        """Whether neither an accepted call nor a change of the credentials followed.

        A proven wrong address may belong to one of several numbers, so it counts for an hour in any case.
        """
        if not self.rejection.names_us or now_ms - self.last_ms > _EXPIRY_MS:
            return False
        if self.rejection.cause is RejectionCause.ADDRESS:
            return self.last_ms > self.last_accepted_ms or now_ms - self.last_ms < _HOUR_MS
        return self.last_ms > max(self.last_accepted_ms, self.credentials_changed_ms)

    @property
    def message(self) -> str:
        reason = _(_CAUSE_TEXTS[self.rejection.cause][0], url=self.rejection.detail)
        calls = ngettext("%(num)s call so far.", "%(num)s calls so far.", self.call_count)
        return f"{_(_ENDPOINT_REFUSALS[self.endpoint], reason=reason)} {calls}"

    @property
    def fix(self) -> str:
        return _(_CAUSE_TEXTS[self.rejection.cause][1])


def identifies_us(params: Mapping[str, str], account_sid: str, senders: Iterable[str]) -> bool:
    """Whether the call names our account or one of our senders, and so proves that it knows us."""
    named = {params.get(name) for name in ("To", "From", "MessagingServiceSid", "AccountSid")}
    return bool(named & ({account_sid, *senders} - {""}))


def classify_rejection(
    call: WebhookCall, tokens: Sequence[str], names_us: bool, called_sid: str, account_sid: str, urls: Sequence[str]
) -> WebhookRejection:
    """`called_sid` is the account that the call names. `urls` may have been called (`candidate_urls`)."""
    if not tokens:
        return WebhookRejection(RejectionCause.NO_TOKEN, names_us)
    if not call.signature:
        return WebhookRejection(RejectionCause.UNSIGNED, names_us)
    for url in urls:
        if any(matches_signature(call, token, url, _OUR_FRAGMENTS) for token in tokens):
            return WebhookRejection(RejectionCause.ADDRESS, True, display_url(url))
    if call.signature_settings:
        return WebhookRejection(RejectionCause.SHARED_KEY, names_us)
    is_other_account = names_us and called_sid != account_sid
    return WebhookRejection(RejectionCause.OTHER_ACCOUNT if is_other_account else RejectionCause.TOKEN, names_us)


def candidate_urls(call: WebhookCall, public_url: str, headers: Mapping[str, str]) -> list[str]:
    """URLs that may have been called: with other hosts, ports, schemes and paths, as the proxies before us report."""
    public = urlsplit(public_url)
    port = headers.get("X-Forwarded-Port", "")
    hosts = [headers.get("X-Forwarded-Host", ""), headers.get("Host", ""), public.netloc, public.hostname or ""]
    hosts += [f"{public.hostname}:{port}"] if port.isdecimal() else []
    hosts = [host for host in dict.fromkeys(hosts) if host and len(host) <= _MAX_HOST_LENGTH]
    prefix = headers.get("X-Forwarded-Prefix", "").rstrip("/")
    paths = [call.path, f"{public.path}{call.path}", f"{prefix}{call.path}"]
    paths += [path[:-1] if path.endswith("/") else f"{path}/" for path in paths]
    query = f"?{call.query}" if call.query else ""
    original_urls = [headers.get(name, "") for name in _ORIGINAL_URL_HEADERS]
    targets = [f"{path}{query}" for path in paths] + [url for url in original_urls if url.startswith("/")]
    urls = itertools.product(("https", "http"), hosts, dict.fromkeys(targets))
    return list(dict.fromkeys(f"{scheme}://{host}{target}" for scheme, host, target in urls))


def check_signatures(rejected: Sequence[RejectedCalls], round_trip: CheckResult, now_ms: int) -> CheckResult:
    """The result of the round trip, unless rejected calls are worse.

    Rejected calls that may be a stranger's are a warning at most.
    """
    ours = [calls for calls in rejected if calls.needs_attention(now_ms)]
    foreign = [calls for calls in rejected if not calls.rejection.names_us and now_ms - calls.last_ms < _DAY_MS]
    if not ours and not foreign:
        return round_trip
    reasons = [calls.message for calls in ours or foreign]
    fixes = [calls.fix for calls in ours]
    if not ours:
        reasons.append(_("They name neither our account nor a number of ours."))
        fixes.append(_(_UNRELATED_CALLS_FIX))
    has_failed = round_trip.verdict == "failing"
    if has_failed:
        reasons.insert(0, round_trip.reason)
        fixes.insert(0, round_trip.fix)
    verdict = ROUND_TRIP.failing if has_failed or ours else ROUND_TRIP.warning
    return verdict(" ".join(reasons), " ".join(dict.fromkeys(fixes)))

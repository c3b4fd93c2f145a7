"""Why a call to a webhook was refused for its signature, and what that says to whom.

Anybody can call a webhook, so a refusal by itself says nothing. It concerns us where the call names what only Twilio,
or somebody who knows the account, can know: the account, a sending number, an attempt. The surest is a signature by our
own token for another address: nobody but Twilio can make that.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from portal.domain.diagnosis import Check
from portal.domain.diagnosis_address import ROUND_TRIP, shown
from portal.domain.webhook_signature import FRAGMENTS, Call, fits

_OUR_FRAGMENTS = FRAGMENTS[:2]
_DAY_MS, _LONG_MS, _HOUR_MS = 86_400_000, 30 * 86_400_000, 3_600_000
_ASKED_PATHS = ("X-Original-URI", "X-Original-URL", "X-Rewrite-URL")
PROXY_HEADERS = ("Host", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Prefix", *_ASKED_PATHS)
"""What tells of the address that was called; anybody can write them, so they prove nothing by themselves."""
_LONGEST_HOST = 253
_LOST = {
    "inbound": "START, STOP and other texts from handsets",
    "status": "Receipts",
    "other": "Calls to a webhook that the portal does not have",
}
DOORS = tuple(_LOST)


class Cause(StrEnum):
    """The likely cause, as rows and metrics have it."""

    NO_TOKEN = "no_token"  # noqa: S105  a name, no secret
    UNSIGNED = "unsigned"
    ADDRESS = "address"
    SHARED_KEY = "shared_key"
    OTHER_ACCOUNT = "other_account"
    TOKEN = "token"  # noqa: S105


_SAID = {
    Cause.NO_TOKEN: (
        "no AuthToken is set, and Twilio signs with it, never with an API key",
        "Add AuthToken to SmsGatewayAuthentication.",
    ),
    Cause.UNSIGNED: (
        "the signature is missing, so a proxy takes the header X-Twilio-Signature away, or it was not Twilio",
        "Let the proxy pass every header on.",
    ),
    Cause.ADDRESS: (
        "Twilio called {detail}, which is not the address that PORTAL_PUBLIC_URL makes",
        "Set PORTAL_PUBLIC_URL to the address that Twilio calls, or set our addresses at Twilio: "
        "portal doctor --set-webhooks",
    ),
    Cause.SHARED_KEY: (
        "Twilio signs with a shared key, and the portal checks with the account's AuthToken alone",
        "In Twilio's webhook settings take the shared key off the rule for the portal's addresses.",
    ),
    Cause.OTHER_ACCOUNT: (
        "they are signed by another Twilio account than that of SmsGatewayAuthentication, such as a subaccount",
        "Set the credentials of the account that has the sending number.",
    ),
    Cause.TOKEN: (
        "the AuthToken is not the one that Twilio signs with: it was rotated, or the secondary one was promoted; or "
        "a proxy changes what Twilio says",
        "Copy the primary Auth Token from Twilio's console into AuthToken of SmsGatewayAuthentication. While Twilio "
        "changes from one token to the other, keep the former as PreviousAuthToken.",
    ),
}


@dataclass(frozen=True)
class Ours:
    """What a call can name to show that it concerns us."""

    account_sid: str
    senders: Collection[str]

    def are_named_by(self, said: Mapping[str, str]) -> bool:
        numbers = {said.get(name) for name in ("To", "From", "MessagingServiceSid")}
        return bool(numbers & set(self.senders)) or said.get("AccountSid", "") in {self.account_sid} - {""}


@dataclass(frozen=True)
class Refusal:
    """`detail` is the address that was called, where the signature proves it."""

    cause: Cause
    ours: bool
    detail: str = ""


@dataclass(frozen=True)
class Refused:
    """So many calls at one of `DOORS` that were refused for one cause; `believed_ms` is when the last one there was
    believed, `changed_ms` when the credentials were last set; both 0 when never."""

    door: str
    refusal: Refusal
    calls: int
    last_ms: int
    believed_ms: int = 0
    changed_ms: int = 0

    def is_open(self, now_ms: int) -> bool:
        """Whether somebody should look into it: nothing at that door was believed since, nor were credentials set.

        A proven wrong address may be that of one of several numbers, so it counts for an hour whatever else comes.
        """
        if not self.refusal.ours or now_ms - self.last_ms > _LONG_MS:
            return False
        if self.refusal.cause is Cause.ADDRESS:
            return self.last_ms > self.believed_ms or now_ms - self.last_ms < _HOUR_MS
        return self.last_ms > max(self.believed_ms, self.changed_ms)

    @property
    def words(self) -> str:
        why = _SAID[self.refusal.cause][0].format(detail=self.refusal.detail)
        calls = "1 call" if self.calls == 1 else f"{self.calls:,} calls"
        return f"{_LOST[self.door]} are refused, {calls} so far: {why}."

    @property
    def mend(self) -> str:
        return _SAID[self.refusal.cause][1]


def why_refused(
    call: Call, tokens: Sequence[str], named: bool, said: Mapping[str, str], ours: Ours, addresses: Sequence[str]
) -> Refusal:
    """`named`: what the call `said` names us. `addresses` are those it may have gone to (`possible_addresses`)."""
    if not tokens:
        return Refusal(Cause.NO_TOKEN, named)
    if not call.signature:
        return Refusal(Cause.UNSIGNED, named)
    if address := next((one for one in addresses if _is_proof(call, tokens, one)), None):
        return Refusal(Cause.ADDRESS, True, shown(address))
    if call.settings:
        return Refusal(Cause.SHARED_KEY, named)
    is_of_another = named and said.get("AccountSid", "") not in ("", ours.account_sid)
    return Refusal(Cause.OTHER_ACCOUNT if is_of_another else Cause.TOKEN, named)


def possible_addresses(call: Call, public_url: str, headers: Mapping[str, str]) -> list[str]:
    """Where the call may have gone in truth: other hosts, ports, schemes and paths, as the proxies before us tell."""
    public = urlsplit(public_url)
    port = headers.get("X-Forwarded-Port", "")
    hosts = [headers.get("X-Forwarded-Host", ""), headers.get("Host", ""), public.netloc, public.hostname or ""]
    hosts += [f"{public.hostname}:{port}"] if port.isdecimal() else []
    prefix = headers.get("X-Forwarded-Prefix", "").rstrip("/")
    paths = [call.path, f"{public.path}{call.path}", f"{prefix}{call.path}"]
    turned = [path[:-1] if path.endswith("/") else f"{path}/" for path in paths]
    query = f"?{call.query}" if call.query else ""
    asked = [headers.get(name, "") for name in _ASKED_PATHS]
    ends = [f"{path}{query}" for path in (*paths, *turned)] + [path for path in asked if path.startswith("/")]
    hosts = [host for host in dict.fromkeys(hosts) if host and len(host) <= _LONGEST_HOST]
    made = (f"{scheme}://{host}{end}" for scheme in ("https", "http") for host in hosts for end in dict.fromkeys(ends))
    return list(dict.fromkeys(made))


def judged(found: Sequence[Refused], round_trip: Check, now_ms: int) -> Check:
    """The doctor's line on signatures: what our own call showed, unless what others showed is worse.

    What nobody can tell from a stranger's try is said too, and is no more than a warning.
    """
    standing = [one for one in found if one.is_open(now_ms)]
    unknown = [one for one in found if not one.refusal.ours and now_ms - one.last_ms < _DAY_MS]
    said = [one.words for one in standing or unknown]
    if not said:
        return round_trip
    mends = [one.mend for one in standing] or [_STRANGERS]
    failed = round_trip.verdict == "failing"
    why = " ".join(
        [round_trip.why] * failed + said + ["They name neither our account nor a number of ours."] * (not standing)
    )
    mend = " ".join(dict.fromkeys([round_trip.mend] * failed + mends))
    return ROUND_TRIP.failing(why, mend) if failed or standing else ROUND_TRIP.warning(why, mend)


_STRANGERS = "If texts and receipts arrive, a stranger tries the webhooks, and there is nothing to do."


def _is_proof(call: Call, tokens: Sequence[str], address: str) -> bool:
    return any(fits(call, token, address, _OUR_FRAGMENTS) for token in tokens)

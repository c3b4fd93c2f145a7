"""Judgements about where Twilio takes what comes in, and whether US carriers let the number through."""

from collections.abc import Sequence
from urllib.parse import urldefrag

from portal.domain.diagnosis import Check, Subject
from portal.domain.diagnosis_address import shown
from portal.domain.diagnosis_twilio import trouble_words
from portal.domain.twilio_account import Trouble, Wiring

INBOUND = Subject("Twilio", "Inbound address")
STATUS = Subject("Twilio", "Status address")
REGISTRATION = Subject("Twilio", "Registration")
_BUTTON = "Set both addresses with the button, or with: portal doctor --set-webhooks"
_CONSOLE = "Look at Messaging → Regulatory compliance in Twilio's console."
_PENDING = ("PENDING_REVIEW", "IN_REVIEW", "IN_PROGRESS", "PENDING")


def inbound(wiring: Wiring | Trouble, ours: str) -> Check:
    """A fragment is Twilio's own place for time-outs and retries, and no part of the address."""
    if isinstance(wiring, Trouble):
        return INBOUND.unknown(f"It could not be read. {trouble_words(wiring)}")
    lost = "START and STOP from handsets do not reach the portal"
    if wiring.application:
        return INBOUND.failing(f"An application at Twilio answers texts instead: {lost}.", _BUTTON, "set_webhooks")
    if not wiring.inbound_url:
        return INBOUND.failing(f"None is set: {lost}.", _BUTTON, "set_webhooks")
    if urldefrag(wiring.inbound_url).url != ours:
        return INBOUND.failing(f"It is {shown(wiring.inbound_url)}: {lost}.", _BUTTON, "set_webhooks")
    if wiring.inbound_method.upper() != "POST":
        return INBOUND.failing(f"Twilio calls it with {wiring.inbound_method}: {lost}.", _BUTTON, "set_webhooks")
    return INBOUND.ok("Texts from handsets come to the portal.")


def status(wiring: Wiring | Trouble, ours: str) -> Check:
    """Each text names our address itself, which overrides the one set at Twilio (docs/twilio.md#create-message)."""
    if isinstance(wiring, Trouble):
        return STATUS.unknown(f"It could not be read. {trouble_words(wiring)}")
    if not wiring.status_url:
        return STATUS.ok("Every text names ours itself; none is set at Twilio, and none is needed.")
    if urldefrag(wiring.status_url).url == ours:
        return STATUS.ok("Receipts come to the portal.")
    return STATUS.warning(
        f"Every text names ours itself, and that wins, but {shown(wiring.status_url)} is set at Twilio.",
        f"If nothing else needs that address: {_BUTTON[0].lower()}{_BUTTON[1:]}",
        "set_webhooks",
    )


def not_read(why: str) -> list[Check]:
    return [subject.unknown(why) for subject in (INBOUND, STATUS)]


def toll_free(states: Sequence[str] | Trouble) -> Check:
    """`states` of the number's verifications, as Twilio spells them."""
    if isinstance(states, Trouble):
        return _not_told(states)
    if "TWILIO_APPROVED" in states:
        return REGISTRATION.ok("The toll-free number is verified.")
    if set(states) & set(_PENDING):
        return REGISTRATION.warning(
            "The toll-free number's verification is being looked at; until then texts are refused (code 30032).",
            "Wait for Twilio, and send nothing urgent by text until then.",
        )
    why = "was rejected" if states else "was never asked for"
    return REGISTRATION.failing(
        f"The toll-free number's verification {why}: texts are refused (code 30032).", f"Have it verified. {_CONSOLE}"
    )


def campaign(states: Sequence[str] | Trouble) -> Check:
    """`states` of the messaging service's 10DLC campaigns."""
    if isinstance(states, Trouble):
        return _not_told(states)
    if "VERIFIED" in states:
        return REGISTRATION.ok("The messaging service has a verified 10DLC campaign.")
    if set(states) & set(_PENDING):
        return REGISTRATION.warning(
            "The messaging service's 10DLC campaign is being looked at; until then US carriers refuse (code 30034).",
            "Wait for the registry, and send nothing urgent by text until then.",
        )
    why = "Its 10DLC campaign failed" if states else "The messaging service has no 10DLC campaign"
    return REGISTRATION.failing(
        f"{why}: US carriers refuse texts from its long codes (code 30034).", f"Register one. {_CONSOLE}"
    )


def unregistered(number: str, real: str) -> Check:
    """What can be said of a number alone, without a messaging service."""
    if real == "short_code":
        return REGISTRATION.unknown("Carriers approve a short code when it is leased; Twilio does not tell.", _CONSOLE)
    if not number.startswith("+1"):
        return REGISTRATION.unknown("What the number's country asks for cannot be checked from here.", _CONSOLE)
    return REGISTRATION.unknown(
        "A US long code is registered (10DLC) through a messaging service, and SmsGatewaySettings names none, so it "
        "cannot be checked from here.",
        f"{_CONSOLE} Unregistered, US carriers refuse its texts (code 30034).",
    )


def _not_told(trouble: Trouble) -> Check:
    return REGISTRATION.unknown(f"It cannot be checked from here. {trouble_words(trouble)}", _CONSOLE)

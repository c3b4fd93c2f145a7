"""Judgements about where Twilio takes what comes in, and whether US carriers let the number through."""

from collections.abc import Sequence
from urllib.parse import urldefrag

from portal.gateways.rules.twilio_resources import TwilioApiError, WebhookConfig
from portal.operations.rules.account_checks import describe_api_error
from portal.operations.rules.checks import CheckResult, CheckSpec
from portal.operations.rules.public_url_checks import display_url

INBOUND = CheckSpec("Twilio", "Inbound address")
STATUS = CheckSpec("Twilio", "Status address")
REGISTRATION = CheckSpec("Twilio", "Registration")
_SET_WEBHOOKS_FIX = "Set both addresses with the button, or with: portal doctor --set-webhooks"
_CONSOLE_FIX = "Look at Messaging → Regulatory compliance in Twilio's console."
_PENDING = ("PENDING_REVIEW", "IN_REVIEW", "IN_PROGRESS", "PENDING")


def check_inbound_url(config: WebhookConfig | TwilioApiError, our_url: str) -> CheckResult:
    """A fragment is Twilio's own place for time-outs and retries, and no part of the address."""
    if isinstance(config, TwilioApiError):
        return INBOUND.unknown(f"It could not be read. {describe_api_error(config)}")
    lost = "START and STOP from handsets do not reach the portal"
    if config.uses_application:
        return INBOUND.failing(
            f"An application at Twilio answers texts instead: {lost}.", _SET_WEBHOOKS_FIX, "set_webhooks"
        )
    if not config.inbound_url:
        return INBOUND.failing(f"None is set: {lost}.", _SET_WEBHOOKS_FIX, "set_webhooks")
    if urldefrag(config.inbound_url).url != our_url:
        return INBOUND.failing(f"It is {display_url(config.inbound_url)}: {lost}.", _SET_WEBHOOKS_FIX, "set_webhooks")
    if config.inbound_method.upper() != "POST":
        return INBOUND.failing(
            f"Twilio calls it with {config.inbound_method}: {lost}.", _SET_WEBHOOKS_FIX, "set_webhooks"
        )
    return INBOUND.ok("Texts from handsets come to the portal.")


def check_status_url(config: WebhookConfig | TwilioApiError, our_url: str) -> CheckResult:
    """Each text names our address itself, which overrides the one set at Twilio (docs/twilio.md#create-message)."""
    if isinstance(config, TwilioApiError):
        return STATUS.unknown(f"It could not be read. {describe_api_error(config)}")
    if not config.status_url:
        return STATUS.ok("Every text names ours itself; none is set at Twilio, and none is needed.")
    if urldefrag(config.status_url).url == our_url:
        return STATUS.ok("Receipts come to the portal.")
    return STATUS.warning(
        f"Every text names ours itself, and that wins, but {display_url(config.status_url)} is set at Twilio.",
        f"If nothing else needs that address: {_SET_WEBHOOKS_FIX[0].lower()}{_SET_WEBHOOKS_FIX[1:]}",
        "set_webhooks",
    )


def unreadable_url_checks(why: str) -> list[CheckResult]:
    return [spec.unknown(why) for spec in (INBOUND, STATUS)]


def check_toll_free(states: Sequence[str] | TwilioApiError) -> CheckResult:
    """`states` of the number's verifications, as Twilio spells them."""
    if isinstance(states, TwilioApiError):
        return _unknown_registration(states)
    if "TWILIO_APPROVED" in states:
        return REGISTRATION.ok("The toll-free number is verified.")
    if set(states) & set(_PENDING):
        return REGISTRATION.warning(
            "The toll-free number's verification is being looked at; until then texts are refused (code 30032).",
            "Wait for Twilio, and send nothing urgent by text until then.",
        )
    why = "was rejected" if states else "was never asked for"
    return REGISTRATION.failing(
        f"The toll-free number's verification {why}: texts are refused (code 30032).",
        f"Have it verified. {_CONSOLE_FIX}",
    )


def check_campaign(states: Sequence[str] | TwilioApiError) -> CheckResult:
    """`states` of the messaging service's 10DLC campaigns."""
    if isinstance(states, TwilioApiError):
        return _unknown_registration(states)
    if "VERIFIED" in states:
        return REGISTRATION.ok("The messaging service has a verified 10DLC campaign.")
    if set(states) & set(_PENDING):
        return REGISTRATION.warning(
            "The messaging service's 10DLC campaign is being looked at; until then US carriers refuse (code 30034).",
            "Wait for the registry, and send nothing urgent by text until then.",
        )
    why = "Its 10DLC campaign failed" if states else "The messaging service has no 10DLC campaign"
    return REGISTRATION.failing(
        f"{why}: US carriers refuse texts from its long codes (code 30034).", f"Register one. {_CONSOLE_FIX}"
    )


def check_unregistered_number(number: str, actual_type: str) -> CheckResult:
    """What can be said of a number alone, without a messaging service."""
    if actual_type == "short_code":
        return REGISTRATION.unknown(
            "Carriers approve a short code when it is leased; Twilio does not tell.", _CONSOLE_FIX
        )
    if not number.startswith("+1"):
        return REGISTRATION.unknown("What the number's country asks for cannot be checked from here.", _CONSOLE_FIX)
    return REGISTRATION.unknown(
        "A US long code is registered (10DLC) through a messaging service, and SmsGatewaySettings names none, so it "
        "cannot be checked from here.",
        f"{_CONSOLE_FIX} Unregistered, US carriers refuse its texts (code 30034).",
    )


def _unknown_registration(trouble: TwilioApiError) -> CheckResult:
    return REGISTRATION.unknown(f"It cannot be checked from here. {describe_api_error(trouble)}", _CONSOLE_FIX)

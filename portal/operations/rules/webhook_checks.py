"""Checks of the webhook addresses set at Twilio, and of the registration with US carriers."""

from collections.abc import Sequence
from urllib.parse import urldefrag

from portal.gateways.rules.twilio_resources import TwilioApiError, WebhookConfig
from portal.operations.rules.account_checks import describe_api_error
from portal.operations.rules.checks import CheckResult, CheckSpec
from portal.operations.rules.public_url_checks import display_url

INBOUND = CheckSpec("Twilio", "Inbound address")
STATUS = CheckSpec("Twilio", "Status address")
REGISTRATION = CheckSpec("Twilio", "Registration")
_SET_WEBHOOKS_FIX = "Set both addresses with the button, or run: portal doctor --set-webhooks"
_CONSOLE_FIX = "Check Messaging → Regulatory compliance in Twilio's console."
_VERIFIED = {"TWILIO_APPROVED", "VERIFIED"}
_PENDING = {"PENDING_REVIEW", "IN_REVIEW", "IN_PROGRESS", "PENDING"}


def check_inbound_url(config: WebhookConfig | TwilioApiError, our_url: str) -> CheckResult:
    """The fragment of a URL holds Twilio's connection overrides and is not part of the address."""
    if isinstance(config, TwilioApiError):
        return INBOUND.unknown(f"It could not be read. {describe_api_error(config)}")
    if config.uses_application:
        problem = "A TwiML application at Twilio gets the texts instead"
    elif not config.inbound_url:
        problem = "None is set"
    elif urldefrag(config.inbound_url).url != our_url:
        problem = f"It is {display_url(config.inbound_url)}"
    elif config.inbound_method.upper() != "POST":
        problem = f"Twilio calls it with {config.inbound_method}"
    else:
        return INBOUND.ok("Texts from handsets come to the portal.")
    reason = f"{problem}, so START and STOP from handsets do not reach the portal."
    return INBOUND.failing(reason, _SET_WEBHOOKS_FIX, "set_webhooks")


def check_status_url(config: WebhookConfig | TwilioApiError, our_url: str) -> CheckResult:
    """Each text names our address itself, which overrides the one set at Twilio (docs/twilio.md#create-message)."""
    if isinstance(config, TwilioApiError):
        return STATUS.unknown(f"It could not be read. {describe_api_error(config)}")
    if not config.status_url:
        return STATUS.ok("None is set at Twilio, and none is needed: every text names ours.")
    if urldefrag(config.status_url).url == our_url:
        return STATUS.ok("Receipts come to the portal.")
    return STATUS.warning(
        f"{display_url(config.status_url)} is set at Twilio. It has no effect, because every text names ours.",
        f"Check that nothing else needs that address. {_SET_WEBHOOKS_FIX}",
        "set_webhooks",
    )


def check_toll_free(states: Sequence[str] | TwilioApiError) -> CheckResult:
    """`states` of the number's verifications, as Twilio spells them."""
    problem = "was rejected" if states else "was never requested"
    return _check_registration(
        states,
        REGISTRATION.ok("The toll-free number is verified."),
        "The verification of the toll-free number is under review; until then texts are rejected (code 30032).",
        f"The verification of the toll-free number {problem}, so texts are rejected (code 30032).",
    )


def check_campaign(states: Sequence[str] | TwilioApiError) -> CheckResult:
    """`states` of the messaging service's 10DLC campaigns."""
    cause = "Its 10DLC campaign failed" if states else "The messaging service has no 10DLC campaign"
    return _check_registration(
        states,
        REGISTRATION.ok("The messaging service has a verified 10DLC campaign."),
        "The messaging service's 10DLC campaign is under review; until then US carriers reject texts (code 30034).",
        f"{cause}, so US carriers reject texts (code 30034).",
    )


def _check_registration(
    states: Sequence[str] | TwilioApiError, verified: CheckResult, pending: str, missing: str
) -> CheckResult:
    """`pending` and `missing` are the reasons if it is under review, or failed or missing."""
    if isinstance(states, TwilioApiError):
        reason = f"It cannot be checked from here. {describe_api_error(states)}"
        return REGISTRATION.unknown(reason, _CONSOLE_FIX)
    if _VERIFIED.intersection(states):
        return verified
    if _PENDING.intersection(states):
        return REGISTRATION.warning(pending, "Wait for the review, and send no urgent texts until then.")
    return REGISTRATION.failing(missing, f"Register it. {_CONSOLE_FIX}")


def check_unregistered_number(number: str, actual_type: str) -> CheckResult:
    """The registration of a number without a messaging service, which Twilio does not report."""
    if actual_type == "short_code":
        reason = "Carriers approve a short code when it is leased. Twilio does not report it."
        return REGISTRATION.unknown(reason, _CONSOLE_FIX)
    if not number.startswith("+1"):
        return REGISTRATION.unknown("The rules of the number's country cannot be checked from here.", _CONSOLE_FIX)
    return REGISTRATION.unknown(
        "A US long code is registered (10DLC) through a messaging service, and SmsGatewaySettings names none, so it "
        "cannot be checked from here.",
        f"{_CONSOLE_FIX} US carriers reject texts from an unregistered number (code 30034).",
    )

"""Checks of the webhook addresses set at Twilio, and of the registration with US carriers."""

from collections.abc import Sequence
from urllib.parse import urldefrag

from portal.core.translation import N_
from portal.core.translation import gettext as _
from portal.gateways.rules.provider_codes import explain_error_code
from portal.gateways.rules.twilio_resources import RegistrationState, TwilioApiError, WebhookConfig
from portal.operations.rules.account_checks import describe_api_error
from portal.operations.rules.checks import CheckResult, CheckSpec, with_code
from portal.operations.rules.public_url_checks import display_url

INBOUND = CheckSpec("Twilio", N_("Inbound address"))
STATUS = CheckSpec("Twilio", N_("Status address"))
REGISTRATION = CheckSpec("Twilio", N_("Registration"))
_SET_WEBHOOKS_FIX = N_("Set both addresses with the button, or run: portal doctor --set-webhooks")
_CONSOLE_FIX = N_("Check Messaging → Regulatory compliance in Twilio’s console.")
_UNREADABLE = N_("It could not be read. %(problem)s")
_VERIFIED = {"TWILIO_APPROVED", "VERIFIED"}
_PENDING = {"PENDING_REVIEW", "IN_REVIEW", "IN_PROGRESS", "PENDING"}


def check_inbound_url(config: WebhookConfig | TwilioApiError, our_url: str) -> CheckResult:
    """The fragment of a URL holds Twilio's connection overrides and is not part of the address."""
    if isinstance(config, TwilioApiError):
        return INBOUND.unknown(_(_UNREADABLE, problem=describe_api_error(config)))
    if config.uses_application:
        problem = _("A TwiML application at Twilio gets the texts instead.")
    elif not config.inbound_url:
        problem = _("None is set.")
    elif urldefrag(config.inbound_url).url != our_url:
        problem = _("It is %(url)s.", url=display_url(config.inbound_url))
    elif config.inbound_method.upper() != "POST":
        problem = _("Twilio calls it with %(method)s instead of POST.", method=config.inbound_method)
    else:
        return INBOUND.ok(_("Texts from phones come to the portal."))
    reason = _("%(problem)s START and STOP do not reach the portal.", problem=problem)
    return INBOUND.failing(reason, _(_SET_WEBHOOKS_FIX), "set_webhooks")


def check_status_url(config: WebhookConfig | TwilioApiError, our_url: str) -> CheckResult:
    """Each text names our address itself, which overrides the one set at Twilio (docs/twilio.md#create-message)."""
    if isinstance(config, TwilioApiError):
        return STATUS.unknown(_(_UNREADABLE, problem=describe_api_error(config)))
    if not config.status_url:
        return STATUS.ok(_("None is set at Twilio, and none is needed: every text names ours."))
    if urldefrag(config.status_url).url == our_url:
        return STATUS.ok(_("Receipts come to the portal."))
    return STATUS.warning(
        _(
            "%(url)s is set at Twilio. It has no effect, because every text names ours.",
            url=display_url(config.status_url),
        ),
        _("Check that nothing else needs that address. %(fix)s", fix=_(_SET_WEBHOOKS_FIX)),
        "set_webhooks",
    )


def check_toll_free(states: Sequence[RegistrationState] | TwilioApiError) -> CheckResult:
    """`states` of the number's verifications."""
    rejected = _("The verification of the toll-free number was rejected, so texts are rejected too (code 30032).")
    never = _("The verification of the toll-free number was never requested, so texts are rejected (code 30032).")
    return _check_registration(
        states,
        REGISTRATION.ok(_("The toll-free number is verified.")),
        _("The verification of the toll-free number is under review; until then texts are rejected (code 30032)."),
        rejected if states else never,
    )


def check_campaign(states: Sequence[RegistrationState] | TwilioApiError) -> CheckResult:
    """`states` of the messaging service's 10DLC campaigns."""
    failed = _("Its 10DLC campaign failed, so US carriers reject texts (code 30034).")
    none = _("The messaging service has no 10DLC campaign, so US carriers reject texts (code 30034).")
    return _check_registration(
        states,
        REGISTRATION.ok(_("The messaging service has a verified 10DLC campaign.")),
        _("The messaging service’s 10DLC campaign is under review; until then US carriers reject texts (code 30034)."),
        failed if states else none,
    )


def _check_registration(
    states: Sequence[RegistrationState] | TwilioApiError, verified: CheckResult, pending: str, missing: str
) -> CheckResult:
    """`pending` and `missing` are the reasons if it is under review, or failed or missing."""
    if isinstance(states, TwilioApiError):
        reason = _("It cannot be checked from here. %(problem)s", problem=describe_api_error(states))
        return REGISTRATION.unknown(reason, _(_CONSOLE_FIX))
    statuses = {state.status for state in states}
    if _VERIFIED & statuses:
        return verified
    if _PENDING & statuses:
        return REGISTRATION.warning(pending, _("Wait for the review, and send no urgent texts until then."))
    codes = [explain_error_code(code) for state in states for code in state.error_codes if code]
    if not codes:
        return REGISTRATION.failing(missing, _("Register it. %(fix)s", fix=_(_CONSOLE_FIX)))
    reasons = [with_code(code) for code in codes]
    fixes = dict.fromkeys([*(code.fix for code in codes), _("See the registration pack under System, Registration.")])
    return REGISTRATION.failing(" ".join([missing, *reasons]), " ".join(filter(None, fixes)))


def check_unregistered_number(number: str, actual_type: str) -> CheckResult:
    """The registration of a number without a messaging service, which Twilio does not report."""
    if actual_type == "short_code":
        reason = _("Carriers approve a short code when it is leased. Twilio does not report it.")
        return REGISTRATION.unknown(reason, _(_CONSOLE_FIX))
    if not number.startswith("+1"):
        return REGISTRATION.unknown(
            _("The rules of the number’s country cannot be checked from here."), _(_CONSOLE_FIX)
        )
    return REGISTRATION.unknown(
        _(
            "A US long code is registered (10DLC) through a messaging service, and SmsGatewaySettings names none, so "
            "it cannot be checked from here."
        ),
        _("%(fix)s US carriers reject texts from an unregistered number (code 30034).", fix=_(_CONSOLE_FIX)),
    )

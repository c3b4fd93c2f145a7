"""Checks of the Twilio account: whether it may send, from which number, how fast, and what Twilio itself replies."""

from portal.core.rules.pacing import RATES
from portal.core.translation import N_, join_words
from portal.core.translation import gettext as _
from portal.gateways.rules import twilio_resources
from portal.gateways.rules.provider_codes import CODES, explain_error_code
from portal.gateways.rules.provider_schema import SenderSettings
from portal.gateways.rules.twilio_resources import TwilioAccountInfo, TwilioApiError, TwilioNumber
from portal.operations.rules.checks import CREDENTIALS, CheckResult, CheckSpec, rate_label, sender_label, with_code

ACCOUNT = CheckSpec("Twilio", N_("Account"))
CLOCK = CheckSpec("Twilio", N_("Clock"))
TEST_CREDENTIALS = CheckSpec("Twilio", N_("Test credentials"))
WEBHOOK_TOKEN = CheckSpec("Twilio", N_("Webhook token"))
NUMBER = CheckSpec("Twilio", N_("Sending number"))
NUMBER_TYPE = CheckSpec("Twilio", N_("Number type"))
RATE = CheckSpec("Twilio", N_("Rate"))
KEYWORD_ANSWERS = CheckSpec("Twilio", N_("STOP and HELP"))

_NUMBER_TYPE_LABELS = {
    "long_code": N_("long code"),
    "toll_free": N_("toll-free number"),
    "short_code": N_("short code"),
}
_EXPECTED_TYPE = {
    (True, True): N_("Twilio says it is a %(type)s, as set."),
    (True, False): N_("Twilio says it is a %(type)s, as inferred from the number."),
    (False, True): N_("Its digits say it is a %(type)s, as set."),
    (False, False): N_("Its digits say it is a %(type)s, as inferred from the number."),
}
"""By whether Twilio reports the type, and whether it is set."""
_OTHER_TYPE = {
    (True, True): N_("Twilio says it is a %(type)s, but NumberType says %(assumed)s."),
    (True, False): N_("Twilio says it is a %(type)s, but the portal assumes it is a %(assumed)s."),
    (False, True): N_("Its digits say it is a %(type)s, but NumberType says %(assumed)s."),
    (False, False): N_("Its digits say it is a %(type)s, but the portal assumes it is a %(assumed)s."),
}
_FIX_SENDER = N_("Correct SmsGatewaySettings under Settings.")
_SKEW_WARNING_SECONDS, _SKEW_FAILURE_SECONDS = 30, 60
_SENDER_CODES = ("21212", "21601", "21603", "21606", "21611", "21659", "21660", "21661")
_INVALID_NUMBER_CODE = "21211"
"""Twilio's response to valid test credentials and the invalid magic number (docs/twilio.md#test-credentials)."""


def check_credentials(response: TwilioAccountInfo | TwilioApiError, api_key_works: bool = False) -> CheckResult:
    """`api_key_works`: an API key, which may lack the right to read the account, could read its numbers."""
    if isinstance(response, TwilioAccountInfo):
        return CREDENTIALS.ok(_("Twilio accepts them."))
    if api_key_works:
        return CREDENTIALS.ok(_("Twilio accepts the API key."))
    if response.status is None:
        fix = _("Let this machine connect to Twilio, or correct PORTAL_TWILIO_API_URL.")
        return CREDENTIALS.failing(_(response.message), fix)
    if response.status == 429 or response.status >= 500:
        return CREDENTIALS.unknown(describe_api_error(response), _("Run the diagnostics again in a minute."))
    if response.code in CODES:
        return CREDENTIALS.failing(describe_api_error(response), explain_error_code(response.code).remedy)
    if response.is_auth_error:
        fix = _("Correct SmsGatewayAuthentication under Settings.")
        return CREDENTIALS.failing(_("Twilio does not accept the credentials."), fix)
    return CREDENTIALS.unknown(describe_api_error(response), _("Check PORTAL_TWILIO_API_URL."))


def check_account(response: TwilioAccountInfo | TwilioApiError) -> CheckResult:
    if isinstance(response, TwilioApiError):
        return ACCOUNT.unknown(_("Its status could not be read."), _("Check the account in Twilio’s console."))
    if response.status != "active":
        stated = _("The account is %(status)s.", status=response.status)
        reason = stated if response.status else _("The account is not active.")
        return ACCOUNT.failing(reason, _("Resolve this with Twilio."))
    if response.kind == "Trial":
        return ACCOUNT.warning(
            _("It is a trial account and can text only verified numbers."), _("Upgrade it at Twilio.")
        )
    return ACCOUNT.ok(_("It is active."))


def check_clock(skew_seconds: float | None) -> CheckResult:
    """`skew_seconds` is how far this machine's clock is ahead of Twilio's; None if Twilio's time is not known."""
    if skew_seconds is None:
        return CLOCK.unknown(_("Twilio’s time could not be read."))
    skew = round(abs(skew_seconds))
    if skew <= _SKEW_WARNING_SECONDS:
        return CLOCK.ok(_("It is within %(seconds)s s of Twilio’s.", seconds=max(skew, 1)))
    ahead = _("This machine’s clock is %(seconds)s s ahead of Twilio’s.", seconds=skew)
    behind = _("This machine’s clock is %(seconds)s s behind Twilio’s.", seconds=skew)
    effect = _("The order of START and STOP depends on it, and when a text of unknown outcome may be sent again.")
    verdict = CLOCK.failing if skew > _SKEW_FAILURE_SECONDS else CLOCK.warning
    return verdict(
        f"{ahead if skew_seconds > 0 else behind} {effect}",
        _("Set the clock from the network, with chrony or systemd-timesyncd."),
    )


def check_test_credentials(
    code: str | None, error: TwilioApiError | None, in_use: bool, same_as_live: bool
) -> CheckResult:
    """`code` is Twilio's response to a text to the invalid magic number; None if no such text was tried."""
    problem = TEST_CREDENTIALS.failing if in_use else TEST_CREDENTIALS.warning
    fix = _("Correct TestSmsGatewayAuthentication under Settings.")
    if same_as_live:
        return problem(_("They are those of the live account: test mode would send real texts."), fix)
    if error is not None and error.is_auth_error:
        return problem(_("Twilio does not accept them."), fix)
    if error is not None or code is None:
        return TEST_CREDENTIALS.unknown(describe_api_error(error) if error else _("They could not be tried."))
    if code in _SENDER_CODES:
        return problem(
            _("Twilio accepts them, but not the FromNumber: %(problem)s", problem=explain_error_code(code).sentence),
            _("Use +15005550006. The other magic numbers only simulate errors."),
        )
    if code == _INVALID_NUMBER_CODE:
        return TEST_CREDENTIALS.ok(_("Twilio accepts them. They can only send, so nothing else can be checked."))
    return TEST_CREDENTIALS.unknown(_("Twilio answered with code %(code)s, which says nothing about them.", code=code))


def missing_test_credentials(in_use: bool, read_error: str | None = None) -> CheckResult:
    """`read_error` says why stored credentials cannot be read."""
    reason = read_error or _("They or their FromNumber are not set.")
    if in_use:
        return TEST_CREDENTIALS.failing(
            _("%(reason)s Test mode is on, so no texts are sent.", reason=reason), _("Set them, or turn it off.")
        )
    return TEST_CREDENTIALS.unknown(_("%(reason)s Test mode needs them.", reason=reason), _("Set them under Settings."))


def check_webhook_token(token_count: int) -> CheckResult:
    if token_count:
        return WEBHOOK_TOKEN.ok(_("An AuthToken is set, so webhooks can be verified."))
    return WEBHOOK_TOKEN.failing(
        _(
            "No AuthToken is set. Twilio signs webhooks with it, never with an API key, so START, STOP and receipts "
            "are all refused."
        ),
        _("Add AuthToken to SmsGatewayAuthentication, alongside the API key."),
    )


def check_number(sender: SenderSettings, own: TwilioNumber | TwilioApiError | None) -> CheckResult:
    label = sender_label(sender.from_number)
    if isinstance(own, TwilioApiError):
        return NUMBER.unknown(
            _("The account’s numbers could not be read. %(problem)s", problem=describe_api_error(own))
        )
    if own is None:
        return NUMBER.failing(_("The account does not own %(number)s.", number=label), _(_FIX_SENDER))
    if not own.is_sms_capable:
        reason = _("The account owns %(number)s, but Twilio does not let it send texts.", number=label)
        return NUMBER.failing(reason, _(_FIX_SENDER))
    return NUMBER.ok(_("The account owns %(number)s, which can send texts.", number=label))


def check_service(error: TwilioApiError | None) -> CheckResult:
    if error is None:
        return NUMBER.ok(_("The account owns the messaging service, which chooses the number for each text."))
    if error.code == "20404":
        return NUMBER.failing(_("The account has no such messaging service."), _(_FIX_SENDER))
    return NUMBER.unknown(
        _("The messaging service could not be checked. %(problem)s", problem=describe_api_error(error)),
        _("Check Messaging → Services in Twilio’s console."),
    )


def check_number_type(sender: SenderSettings, own: TwilioNumber) -> CheckResult:
    reported = twilio_resources.reported_number_type(own)
    actual_type = reported or twilio_resources.infer_number_type(own.number)
    label, sources = _(_NUMBER_TYPE_LABELS[actual_type]), (bool(reported), sender.has_explicit_type)
    if actual_type == sender.number_type:
        return NUMBER_TYPE.ok(_(_EXPECTED_TYPE[sources], type=label))
    reason = _(_OTHER_TYPE[sources], type=label, assumed=_(_NUMBER_TYPE_LABELS[sender.number_type]))
    return NUMBER_TYPE.warning(
        _("%(reason)s Rate and replies to STOP follow that.", reason=reason),
        _("Set %(setting)s in SmsGatewaySettings.", setting=f'"NumberType": "{actual_type}"'),
    )


def check_rate(sender: SenderSettings, actual_type: str) -> CheckResult:
    """Compare the rate in use with that of the number's real type (docs/twilio.md#rates)."""
    allowed, rate = RATES[actual_type], sender.segments_per_second
    label = _(_NUMBER_TYPE_LABELS[actual_type])
    rates = {"rate": rate_label(rate), "allowed": rate_label(allowed), "type": label}
    if rate <= allowed:
        return RATE.ok(_("The rate is %(rate)s; a %(type)s may send %(allowed)s.", **rates))
    if actual_type == "long_code":
        return RATE.warning(
            _(
                "The rate is %(rate)s; a long code may send %(allowed)s, unless its 10DLC campaign allows more. Texts "
                "sent too fast wait in Twilio’s queue, where they can no longer be stopped. After 10 hours there, they "
                "are rejected (code 21611).",
                **rates,
            ),
            _("Compare it with the campaign’s rate in Twilio’s console, or lower SegmentsPerSecond."),
        )
    reason = _(
        "The rate is %(rate)s; a %(type)s may send only %(allowed)s. Texts sent too fast wait in Twilio’s queue, where "
        "they can no longer be stopped.",
        **rates,
    )
    return RATE.warning(reason, _("Lower SegmentsPerSecond, or have Twilio raise the number’s rate."))


def check_keyword_answers(sender: SenderSettings, actual_type: str) -> CheckResult:
    """Either Twilio or the portal replies to STOP and HELP, never both or neither (docs/twilio.md#auto-replies)."""
    keywords = ", ".join(sorted(sender.auto_replied_keywords))
    if sender.messaging_service_sid:
        return KEYWORD_ANSWERS.unknown(
            _(
                "Twilio does not report what a messaging service answers. TwilioAnswers says: %(keywords)s.",
                keywords=keywords or _("nothing"),
            ),
            _("Compare it with Messaging → Services → Opt-out management in Twilio’s console."),
        )
    if actual_type == "short_code" and keywords:
        return KEYWORD_ANSWERS.failing(
            _(
                "Twilio does not reply for a short code. TwilioAnswers says it answers %(keywords)s, so nobody does.",
                keywords=keywords,
            ),
            _('Set "TwilioAnswers": [] in SmsGatewaySettings.'),
        )
    if actual_type == "short_code":
        return KEYWORD_ANSWERS.ok(_("Twilio does not reply for a short code; the portal does."))
    missing = sorted({"STOP", "HELP"} - sender.auto_replied_keywords)
    if missing:
        return KEYWORD_ANSWERS.warning(
            _(
                "Twilio itself answers %(keywords)s for this number. The portal’s answer would be a second one, and "
                "after STOP it is rejected (code 21610).",
                keywords=join_words(missing),
            ),
            _('Set "TwilioAnswers": ["STOP", "HELP"], or leave it out.'),
        )
    unblocking = _("After STOP only START or UNSTOP unblocks it, not YES.") if actual_type == "toll_free" else ""
    reason = _("Twilio answers them and blocks the number; the portal keeps a list too.")
    return KEYWORD_ANSWERS.ok(f"{reason} {unblocking}".strip())


def describe_api_error(error: TwilioApiError) -> str:
    """In the reader's language, as far as the error is known."""
    return with_code(explain_error_code(error.code)) if error.code in CODES else _(error.message)

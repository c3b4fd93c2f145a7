"""The rules of the diagnostics: verdict, reason and fix in every case."""

from typing import Any

import pytest

from portal.core.rules.connection_errors import explain_redis_error
from portal.core.rules.routing import Switches
from portal.gateways.rules.provider_schema import SenderSettings
from portal.gateways.rules.smtp_probe_result import SmtpProbe
from portal.gateways.rules.twilio_resources import (
    RegistrationState,
    TwilioAccountInfo,
    TwilioApiError,
    TwilioNumber,
    WebhookConfig,
    infer_number_type,
    reported_number_type,
)
from portal.gateways.rules.webhook_round_trip import RoundTripResult
from portal.operations.rules import account_checks, checks, mail_server_checks, public_url_checks, webhook_checks
from portal.operations.rules.checks import CheckResult, CheckSpec

OURS = "https://portal.example.org/webhooks/twilio/inbound"
ACTIVE = TwilioAccountInfo("active", "Full", "")
UNHEARD = TwilioApiError("api.twilio.com did not answer in time.")
SERVICE = "MG" + "1" * 32


def sender(number: str = "+12025550100", kind: str = "long_code", rate: float = 1.0, **options: Any) -> SenderSettings:
    answers = options.get("answers", frozenset({"STOP", "HELP"}))
    return SenderSettings(number, options.get("service", ""), rate, kind, answers)


def own(number: str = "+12025550100", kind: str = "local", is_sms_capable: bool = True) -> TwilioNumber:
    return TwilioNumber("PN1", number, is_sms_capable, kind)


def assert_result(check: CheckResult, verdict: str, *messages: str) -> None:
    assert check.verdict == verdict, check
    for message in messages:
        assert message in f"{check.reason} {check.fix}"
    assert bool(check.fix) or check.verdict in ("ok", "unknown"), "a problem comes with its fix"


def test_results_are_grouped_with_the_worst_first() -> None:
    mail, portal = CheckSpec("Mail", "Server"), CheckSpec("Portal", "Mode")
    results = [mail.ok("fine"), portal.ok("a"), portal.unknown("b"), portal.failing("c", "d"), portal.warning("e", "f")]
    groups = checks.group_checks(results)
    assert [(group, [result.verdict for result in in_group]) for group, in_group in groups] == [
        ("Portal", ["failing", "warning", "unknown", "ok"]),
        ("Mail", ["ok"]),
    ]
    assert checks.summarize_checks(results) == "1 failing, 1 with a warning, 1 not checked, 2 ok"
    assert checks.has_failure(results)
    assert not checks.has_failure(results[:3])


def test_sending_resumes_only_if_twilio_checks_pass() -> None:
    proven = checks.CREDENTIALS.ok("Twilio accepts them.")
    check_lanes = checks.check_lanes([("+12025550100", "The account is suspended.")])
    assert checks.resume_blocker([proven, check_lanes, account_checks.CLOCK.warning("a", "b")]) is None
    suspended = account_checks.check_account(TwilioAccountInfo("suspended", "Full", ""))
    assert checks.resume_blocker([proven, suspended]) == (
        "Sending stays paused. Account: The account is suspended. Resolve this with Twilio."
    )
    assert "Credentials" in (checks.resume_blocker([checks.CREDENTIALS.unknown("Nobody asked.")]) or "")


@pytest.mark.parametrize(
    ("switches", "verdict", "message"),
    [
        (Switches(False), "warning", "switched off"),
        (Switches(True, test_mode=True, override_number="+12025550177"), "warning", "Test mode"),
        (Switches(True, override_number="+12025550177"), "warning", "+1 ••• 0177"),
        (Switches(True, configured=False), "failing", "incomplete"),
        (Switches(True), "ok", "Live"),
    ],
)
def test_mode_check_names_the_mode_in_force(switches: Switches, verdict: str, message: str) -> None:
    assert_result(checks.check_mode(switches, simulated=False), verdict, message)
    assert "+12025550177" not in checks.check_mode(switches, simulated=False).reason


@pytest.mark.parametrize("test_mode", [False, True])
@pytest.mark.parametrize("feature_on", [False, True])
def test_stopped_override_number_fails_in_every_mode(feature_on: bool, test_mode: bool) -> None:
    switches = Switches(feature_on, test_mode, "+12025550177")
    result = checks.check_mode(switches, simulated=True, stopped_override="+12025550177")
    assert_result(result, "failing", "+1 ••• 0177 is opted out", "START", "SmsOverrideNumber")


def test_simulator_is_never_reported_as_live() -> None:
    assert_result(checks.check_mode(Switches(True), simulated=True), "warning", "not real phones")


def test_paused_lane_offers_to_resume() -> None:
    assert checks.check_lanes([]).verdict == "ok"
    result = checks.check_lanes([("+12025550100", "It is suspended."), (SERVICE, "It is gone")])
    assert_result(result, "failing", "+1 ••• 0100: It is suspended.", "the messaging service: It is gone.")
    assert result.action == "resume"
    assert "+12025550100" not in result.reason


def test_missing_processes_are_named_with_their_commands() -> None:
    assert [result.verdict for result in checks.check_heartbeats([])] == ["ok", "ok"]
    workers, scheduler = checks.check_heartbeats(["worker:sms", "worker:email", "scheduler"])
    assert_result(workers, "failing", "texts and email", "portal worker sms, portal worker email")
    assert_result(scheduler, "failing", "portal scheduler")


def test_tables_of_another_version_fail() -> None:
    assert checks.check_database(["0003"], ["0003"]).verdict == "ok"
    for revisions in (["0002"], [], ["0003", "0002"]):
        assert_result(checks.check_database(revisions, ["0003"]), "failing", "portal db upgrade")


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-lru", "volatile-ttl", "allkeys-random"])
def test_queue_that_may_drop_work_is_a_warning(policy: str) -> None:
    assert_result(checks.check_queue(None, policy), "warning", f"maxmemory-policy {policy}", "noeviction")


def test_unusable_queue_fails() -> None:
    assert checks.check_queue(None).verdict == "ok"
    full = explain_redis_error("OutOfMemoryError", "OOM command not allowed when used memory > 'maxmemory'.")
    assert_result(checks.check_queue(full), "failing", "Redis is full", "maxmemory")


@pytest.mark.parametrize(
    ("url", "simulated", "verdict"),
    [
        ("https://portal.example.org", False, "ok"),
        ("https://portal.example.org:8443/sub", False, "ok"),
        ("http://portal.example.org", False, "failing"),
        ("http://127.0.0.1:8000", False, "failing"),
        ("https://localhost", False, "failing"),
        ("https://10.1.2.3", False, "failing"),
        ("https://[::1]:8000", False, "failing"),
        ("https://portal", False, "failing"),
        ("https://portal.internal", False, "failing"),
        ("https://8.8.8.8", False, "ok"),
        ("http://127.0.0.1:8000", True, "ok"),
        ("https://our_portal.example.org", False, "failing"),
        ("http://our_portal.example.org", True, "failing"),
    ],
)
def test_public_address_must_be_callable_by_twilio(url: str, simulated: bool, verdict: str) -> None:
    assert_result(public_url_checks.check_public_url(url, simulated), verdict)


def test_displayed_url_has_no_secrets() -> None:
    assert public_url_checks.display_url("https://user:word@a.example:81/path?token=1#x") == "https://a.example:81/path"
    for odd in ("", "https://[oops", "javascript:alert(1)", "https://a.example:port/"):
        assert public_url_checks.display_url(odd) == "an address that cannot be read"


@pytest.mark.parametrize(
    ("round_trip", "verdict", "message"),
    [
        (RoundTripResult(204, forged_status=403), "ok", "refused a forged one"),
        (RoundTripResult(204, forged_status=204), "failing", "forged one was answered 204"),
        (RoundTripResult(301, location="https://b.example/x?secret=1"), "failing", "301 to https://b.example/x)"),
        (RoundTripResult(403), "failing", "signature was refused"),
        (RoundTripResult(401), "failing", "sign-in of its own"),
        (RoundTripResult(404), "failing", "answered 404"),
        (RoundTripResult(502), "failing", "answered 502"),
        (RoundTripResult(200), "failing", "answered 200"),
        (RoundTripResult(error="time-out"), "failing", "firewall"),
        (RoundTripResult(error="connection"), "failing", "Nothing is listening"),
        (RoundTripResult(error="name"), "failing", "no host portal.example.org"),
        (RoundTripResult(error="certificate"), "failing", "not trusted"),
        (RoundTripResult(error="answer"), "failing", "cannot be read"),
    ],
)
def test_signature_round_trip_explains_its_result(round_trip: RoundTripResult, verdict: str, message: str) -> None:
    assert_result(public_url_checks.check_round_trip(round_trip, "https://portal.example.org"), verdict, message)


@pytest.mark.parametrize(
    ("response", "key_works", "verdict", "message"),
    [
        (ACTIVE, False, "ok", "accepts them"),
        (TwilioApiError("x", 401, "20003"), False, "failing", "20003"),
        (TwilioApiError("x", 401, ""), False, "failing", "does not accept"),
        (TwilioApiError("x", 401, "20003"), True, "ok", "API key"),
        (TwilioApiError("x", 403, "20005"), False, "failing", "20005"),
        (TwilioApiError("Twilio answered 404.", 404, "20404"), False, "failing", "20404"),
        (UNHEARD, False, "failing", "did not answer in time"),
        (TwilioApiError("Twilio answered 503.", 503, ""), False, "unknown", "503"),
        (TwilioApiError("x", 429, "20429"), False, "unknown", "rate-limits"),
        (TwilioApiError("Twilio's response is not valid.", 200, ""), False, "unknown", "is not valid"),
    ],
)
def test_credentials_check_explains_the_response(
    response: TwilioAccountInfo | TwilioApiError, key_works: bool, verdict: str, message: str
) -> None:
    assert_result(account_checks.check_credentials(response, key_works), verdict, message)


@pytest.mark.parametrize(
    ("response", "verdict", "message"),
    [
        (ACTIVE, "ok", "active"),
        (TwilioAccountInfo("active", "Trial", ""), "warning", "only verified numbers"),
        (TwilioAccountInfo("suspended", "Full", ""), "failing", "suspended"),
        (TwilioAccountInfo("closed", "Full", ""), "failing", "closed"),
        (TwilioAccountInfo("", "", ""), "failing", "not active"),
        (UNHEARD, "unknown", "could not be read"),
    ],
)
def test_account_check_reports_the_status(
    response: TwilioAccountInfo | TwilioApiError, verdict: str, message: str
) -> None:
    assert_result(account_checks.check_account(response), verdict, message)


@pytest.mark.parametrize(
    ("seconds", "verdict", "message"),
    [
        (None, "unknown", "could not be read"),
        (0.2, "ok", "within 1 s"),
        (-30.4, "ok", "within 30 s"),
        (31, "warning", "31 s ahead of"),
        (-60, "warning", "60 s behind"),
        (61, "failing", "STOP"),
        (-4000, "failing", "4,000 s behind"),
    ],
)
def test_clock_skew_is_reported_by_severity(seconds: float | None, verdict: str, message: str) -> None:
    assert_result(account_checks.check_clock(seconds), verdict, message)


@pytest.mark.parametrize(
    ("code", "error", "same", "off", "on"),
    [
        ("21211", None, False, "ok", "ok"),
        ("21606", None, False, "warning", "failing"),
        ("21212", None, False, "warning", "failing"),
        (None, TwilioApiError("x", 401, "20003"), False, "warning", "failing"),
        (None, UNHEARD, False, "unknown", "unknown"),
        (None, None, True, "warning", "failing"),
        ("none", None, False, "unknown", "unknown"),
    ],
)
def test_invalid_test_credentials_fail_only_in_test_mode(
    code: str | None, error: TwilioApiError | None, same: bool, off: str, on: str
) -> None:
    results = [account_checks.check_test_credentials(code, error, in_use, same) for in_use in (False, True)]
    assert_result(results[0], off)
    assert_result(results[1], on)


def test_missing_test_credentials_are_never_ok() -> None:
    assert_result(account_checks.missing_test_credentials(False), "unknown")
    assert_result(account_checks.missing_test_credentials(True), "failing", "Test mode is on")


def test_api_key_alone_cannot_verify_webhooks() -> None:
    assert account_checks.check_webhook_token(2).verdict == "ok"
    assert_result(account_checks.check_webhook_token(0), "failing", "never with an API key", "AuthToken")


@pytest.mark.parametrize(
    ("number", "verdict", "message"),
    [
        (own(), "ok", "owns +1 ••• 0100, which can send"),
        (own(is_sms_capable=False), "failing", "does not let it send texts"),
        (None, "failing", "does not own +1 ••• 0100"),
        (UNHEARD, "unknown", "could not be read"),
    ],
)
def test_sending_number_must_belong_to_the_account(
    number: TwilioNumber | TwilioApiError | None, verdict: str, message: str
) -> None:
    result = account_checks.check_number(sender(), number)
    assert_result(result, verdict, message)
    assert "+12025550100" not in result.reason


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (None, "ok"),
        (TwilioApiError("x", 404, "20404"), "failing"),
        (TwilioApiError("x", 404, ""), "unknown"),
        (UNHEARD, "unknown"),
    ],
)
def test_messaging_service_must_belong_to_the_account(error: TwilioApiError | None, verdict: str) -> None:
    assert_result(account_checks.check_service(error), verdict)


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        ("local", "long_code"),
        ("mobile", "long_code"),
        ("national", "long_code"),
        ("tollfree", "toll_free"),
        ("toll_free", "toll_free"),
        ("Toll-Free", "toll_free"),
        ("", None),
        ("satellite", None),
    ],
)
def test_number_type_is_read_from_twilios_spelling(reported: str, expected: str | None) -> None:
    assert reported_number_type(own(kind=reported)) == expected


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("+12025550100", "long_code"),
        ("+18335550100", "toll_free"),
        ("+18005550100", "toll_free"),
        ("+447700900123", "long_code"),
        ("12345", "short_code"),
        ("123456", "short_code"),
        ("not a number", "long_code"),
    ],
)
def test_number_type_is_inferred_from_the_digits(number: str, expected: str) -> None:
    assert infer_number_type(number) == expected


def test_configured_number_type_is_compared_with_the_real_one() -> None:
    assert_result(account_checks.check_number_type(sender(), own()), "ok", "Twilio says")
    assert_result(account_checks.check_number_type(sender(), own(kind="")), "ok", "digits")
    result = account_checks.check_number_type(sender(kind="toll_free"), own())
    assert_result(result, "warning", "long code", '"NumberType": "long_code"')


@pytest.mark.parametrize(
    ("rate", "real", "verdict", "message"),
    [
        (1.0, "long_code", "ok", "The rate is 1 segment/s; a long code may send 1 segment/s."),
        (0.5, "long_code", "ok", "0.5 segments"),
        (25.0, "long_code", "warning", "10DLC"),
        (3.0, "toll_free", "ok", "may send 3 segments/s."),
        (4.0, "toll_free", "warning", "may send only 3 segments/s."),
        (100.0, "short_code", "ok", "may send 100"),
        (101.0, "short_code", "warning", "Lower SegmentsPerSecond"),
    ],
)
def test_rate_is_compared_with_that_of_the_number_type(rate: float, real: str, verdict: str, message: str) -> None:
    assert_result(account_checks.check_rate(sender(rate=rate), real), verdict, message)


@pytest.mark.parametrize(
    ("real", "answers", "service", "verdict", "message"),
    [
        ("long_code", {"STOP", "HELP"}, "", "ok", "blocks the number"),
        ("long_code", {"STOP", "HELP", "START"}, "", "ok", ""),
        ("long_code", {"HELP"}, "", "warning", "itself answers STOP for this number"),
        ("long_code", set(), "", "warning", "HELP and STOP"),
        ("toll_free", {"STOP", "HELP"}, "", "ok", "not YES"),
        ("short_code", set(), "", "ok", "the portal does"),
        ("short_code", {"STOP", "HELP"}, "", "failing", "so nobody does"),
        ("short_code", {"STOP"}, SERVICE, "unknown", "Opt-out management"),
    ],
)
def test_exactly_one_side_answers_stop_and_help(
    real: str, answers: set[str], service: str, verdict: str, message: str
) -> None:
    settings = sender(kind=real, answers=frozenset(answers), service=service)
    assert_result(account_checks.check_keyword_answers(settings, real), verdict, message)


@pytest.mark.parametrize(
    ("url", "method", "application", "verdict", "message"),
    [
        (OURS, "POST", False, "ok", "come to the portal"),
        (OURS + "#rc=3&rp=all", "post", False, "ok", ""),
        (OURS, "GET", False, "failing", "with GET"),
        ("", "POST", False, "failing", "None is set"),
        ("https://demo.twilio.com/reply?secret=1", "POST", False, "failing", "It is https://demo.twilio.com/reply. S"),
        (OURS + "/", "POST", False, "failing", "START and STOP"),
        (OURS, "POST", True, "failing", "application"),
    ],
)
def test_inbound_address_must_be_ours(url: str, method: str, application: bool, verdict: str, message: str) -> None:
    result = webhook_checks.check_inbound_url(WebhookConfig("PN1", url, method, "", application), OURS)
    assert_result(result, verdict, message)
    assert result.action == ("set_webhooks" if verdict == "failing" else "")


def test_foreign_status_address_is_a_warning() -> None:
    results = [
        webhook_checks.check_status_url(WebhookConfig("PN1", "", "POST", url), OURS)
        for url in ("", OURS, "https://else.example/x?key=1")
    ]
    assert [result.verdict for result in results] == ["ok", "ok", "warning"]
    assert "https://else.example/x is set" in results[2].reason
    assert results[2].action == "set_webhooks"


def test_unreadable_addresses_are_unknown() -> None:
    results = [webhook_checks.check_inbound_url(UNHEARD, OURS), webhook_checks.check_status_url(UNHEARD, OURS)]
    assert [result.verdict for result in results] == ["unknown"] * 2


@pytest.mark.parametrize(
    ("states", "verdict", "message"),
    [
        (["TWILIO_APPROVED"], "ok", "verified"),
        (["TWILIO_REJECTED", "TWILIO_APPROVED"], "ok", ""),
        (["IN_REVIEW"], "warning", "30032"),
        (["TWILIO_REJECTED"], "failing", "was rejected"),
        ([], "failing", "never requested"),
        (UNHEARD, "unknown", "Twilio’s console"),
    ],
)
def test_toll_free_number_must_be_verified(states: list[str] | TwilioApiError, verdict: str, message: str) -> None:
    assert_result(webhook_checks.check_toll_free(registrations(states)), verdict, message)


@pytest.mark.parametrize(
    ("states", "verdict", "message"),
    [
        (["VERIFIED"], "ok", "10DLC"),
        (["IN_PROGRESS"], "warning", "30034"),
        (["FAILED"], "failing", "campaign failed"),
        ([], "failing", "no 10DLC campaign"),
        (TwilioApiError("example.org does not serve this part of Twilio's API.", 404), "unknown", "does not serve"),
    ],
)
def test_messaging_service_needs_a_campaign(states: list[str] | TwilioApiError, verdict: str, message: str) -> None:
    assert_result(webhook_checks.check_campaign(registrations(states)), verdict, message)


def registrations(states: list[str] | TwilioApiError) -> list[RegistrationState] | TwilioApiError:
    return states if isinstance(states, TwilioApiError) else [RegistrationState(status) for status in states]


def test_rejection_is_explained_with_its_remedies() -> None:
    result = webhook_checks.check_campaign([RegistrationState("FAILED", ("30882", "30986"))])
    assert_result(result, "failing", "the privacy policy let others use the numbers, or are missing. (code 30882)")
    assert "The campaign was rejected. (code 30986)" in result.reason
    assert "Correct the public page under Content blocks" in result.fix


@pytest.mark.parametrize(
    ("number", "real", "message"),
    [
        ("+12025550100", "long_code", "10DLC"),
        ("+447700900123", "long_code", "country"),
        ("12345", "short_code", "leased"),
    ],
)
def test_unknown_registration_says_where_to_check(number: str, real: str, message: str) -> None:
    assert_result(webhook_checks.check_unregistered_number(number, real), "unknown", message, "console")


@pytest.mark.parametrize(
    ("probe", "verdicts", "message"),
    [
        (SmtpProbe(None, encrypted=True, has_login=True), ["ok", "ok", "ok", "ok"], "encrypted"),
        (SmtpProbe(None, is_local=True), ["ok", "ok", "ok", "ok"], "this machine"),
        (SmtpProbe(None), ["ok", "warning", "ok", "ok"], "in the clear"),
        (SmtpProbe(None, has_login=True), ["ok", "failing", "ok", "ok"], "password"),
        (SmtpProbe(None, encrypted=True, offers_login=True), ["ok", "ok", "warning", "ok"], "offers a sign-in"),
        (
            SmtpProbe("connect", "nothing listens there"),
            ["failing", "unknown", "unknown", "unknown"],
            "nothing listens",
        ),
        (SmtpProbe("encrypt", "not trusted"), ["ok", "failing", "unknown", "unknown"], "not trusted"),
        (
            SmtpProbe("login", "535 no", encrypted=True, has_login=True),
            ["ok", "ok", "failing", "unknown"],
            "535 no",
        ),
        (SmtpProbe("sender", "550 no", encrypted=True), ["ok", "ok", "ok", "failing"], "PORTAL_MAIL_FROM"),
    ],
)
def test_mail_server_is_checked_step_by_step(probe: SmtpProbe, verdicts: list[str], message: str) -> None:
    results = mail_server_checks.check_mail_server(probe, "example.org")
    assert [result.verdict for result in results] == verdicts
    assert message in " ".join(f"{result.reason} {result.fix}" for result in results)


def test_placeholder_sender_is_a_warning() -> None:
    result = mail_server_checks.check_mail_server(SmtpProbe(None), "localhost.localdomain")[3]
    assert_result(result, "warning", "PORTAL_MAIL_FROM")


@pytest.mark.parametrize(
    ("hours", "simulated", "verdict"), [("21:00 to 08:00", False, "ok"), ("", True, "ok"), ("", False, "warning")]
)
def test_missing_quiet_hours_are_a_warning_with_a_live_gateway(hours: str, simulated: bool, verdict: str) -> None:
    assert checks.check_quiet_hours(hours, simulated).verdict == verdict

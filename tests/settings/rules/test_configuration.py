from typing import Any

import pytest

from portal.core.rules.routing import Mode
from portal.core.rules.setting_error import SettingError
from portal.gateways.rules.twilio_settings import TWILIO_SCHEMA
from portal.settings.rules.configuration import (
    Configuration,
    check_expiry,
    could_go_live,
    goes_live_at_ms,
    goes_live_on_expiry_at_ms,
)

NOW, HOUR = 1_790_000_000_000, 3_600_000
LATER = NOW + HOUR
VALUES: dict[str, Any] = {
    "EnableSmsNotifications": True,
    "SmsGatewayType": "Twilio",
    "SmsGatewayAuthentication": {"AccountSid": "AC" + "0" * 32, "AuthToken": "token-live-1234"},
    "SmsGatewaySettings": {"FromNumber": "+12025550100"},
    "SmsOverrideNumber": "+12025550142",
    "TestSmsGatewayAuthentication": {"AccountSid": "AC" + "1" * 32, "AuthToken": "token-test-1234"},
    "TestSmsGatewaySettings": {"FromNumber": "+15005550006"},
}
TEST, OVERRIDE, FEATURE = "EnableSmsTestMode", "EnableSmsOverrideNumber", "EnableSmsNotifications"


def settings(ends: dict[str, int] | None = None, **values: Any) -> Configuration:
    known = {name: value for name, value in {**VALUES, **values}.items() if value is not None}
    return Configuration({"Twilio": TWILIO_SCHEMA}, known, ends or {})


def test_a_switch_is_on_until_its_end_and_off_from_then_on() -> None:
    found = settings({TEST: LATER}, EnableSmsTestMode=True)
    assert [found.gateway(moment).switches.mode for moment in (NOW, LATER - 1, LATER, LATER + HOUR)] == [
        Mode.TEST,
        Mode.TEST,
        Mode.LIVE,
        Mode.LIVE,
    ]
    assert [found.display_value(TEST, moment) for moment in (NOW, LATER)] == ["true", "false"]


def test_two_switches_end_each_at_its_own_time() -> None:
    found = settings({TEST: LATER, OVERRIDE: LATER + HOUR}, EnableSmsTestMode=True, EnableSmsOverrideNumber=True)
    modes = [found.gateway(moment).switches.mode for moment in (NOW, LATER, LATER + HOUR)]
    assert modes == [Mode.TEST_OVERRIDE, Mode.OVERRIDE, Mode.LIVE]
    assert goes_live_on_expiry_at_ms(found, NOW) == LATER + HOUR


def test_a_setting_that_is_changed_loses_its_end() -> None:
    found = settings({TEST: LATER}, EnableSmsTestMode=True)
    assert found.with_value(TEST, True).expires_at_ms_by_name == {}
    assert found.with_value(TEST, True, LATER + 1).expires_at_ms_by_name == {TEST: LATER + 1}
    assert found.with_value(OVERRIDE, True).expires_at_ms_by_name == {TEST: LATER}


@pytest.mark.parametrize(
    ("before", "name", "value", "expires_at_ms", "live_ms"),
    [
        (settings(EnableSmsNotifications=False), FEATURE, True, None, NOW),
        (settings(EnableSmsNotifications=False, EnableSmsTestMode=True), FEATURE, True, None, None),
        (settings(EnableSmsNotifications=False, EnableSmsOverrideNumber=True), FEATURE, True, None, None),
        (settings(EnableSmsTestMode=True), TEST, False, None, NOW),
        (settings(EnableSmsOverrideNumber=True), OVERRIDE, False, None, NOW),
        (settings(EnableSmsOverrideNumber=True, EnableSmsTestMode=True), OVERRIDE, False, None, None),
        (settings(EnableSmsTestMode=True), TEST, True, LATER, LATER),
        (settings(EnableSmsTestMode=True, EnableSmsNotifications=False), TEST, True, LATER, None),
        (settings({TEST: LATER}, EnableSmsTestMode=True, EnableSmsNotifications=False), FEATURE, True, None, LATER),
        (settings({TEST: LATER}, EnableSmsTestMode=True), TEST, True, LATER - 1, LATER - 1),
        (settings({TEST: LATER}, EnableSmsTestMode=True), TEST, True, LATER + 1, None),
        (settings({TEST: NOW - 1}, EnableSmsTestMode=True), TEST, True, None, None),
        (
            settings(SmsGatewayAuthentication=None),
            "SmsGatewayAuthentication",
            VALUES["SmsGatewayAuthentication"],
            None,
            NOW,
        ),
        (settings(SmsGatewaySettings=None), "SmsGatewaySettings", {"FromNumber": "12345"}, None, NOW),
        (settings(), TEST, True, LATER, None),
        (settings(), "SmsGatewaySettings", {"FromNumber": "12345"}, None, None),
        (settings(), FEATURE, False, None, None),
    ],
)
def test_going_live_is_noticed_at_once_and_at_the_time_when_a_switch_will_end(
    before: Configuration, name: str, value: Any, expires_at_ms: int | None, live_ms: int | None
) -> None:
    assert goes_live_at_ms(before, before.with_value(name, value, expires_at_ms), NOW) == live_ms
    assert live_ms is None or could_go_live(before, name, NOW)


@pytest.mark.parametrize("name", ["SmsOverrideNumber", "TestSmsGatewaySettings", "TestSmsGatewayAuthentication"])
def test_what_cannot_let_texts_go_needs_no_confirmation(name: str) -> None:
    for before in (settings(), settings(EnableSmsTestMode=True), settings(EnableSmsNotifications=False)):
        assert not could_go_live(before, name, NOW)


def test_an_end_is_for_override_and_test_mode_and_lies_ahead() -> None:
    for name, value, until_ms in (
        (FEATURE, True, LATER),
        (TEST, False, LATER),
        (TEST, True, NOW),
        (OVERRIDE, True, NOW + 367 * 24 * HOUR),
    ):
        with pytest.raises(SettingError) as refused:
            check_expiry(name, value, until_ms, NOW)
        assert refused.value.errors_by_key["expires_at"].startswith(name)
    check_expiry(TEST, True, LATER, NOW)
    check_expiry(FEATURE, True, None, NOW)


def test_what_is_missing_is_told_by_the_names_of_its_settings() -> None:
    assert settings().missing_settings(NOW) == []
    assert settings(SmsGatewaySettings=None).missing_settings(NOW) == ["SmsGatewaySettings"]
    assert settings(EnableSmsTestMode=True, TestSmsGatewayAuthentication=None).missing_settings(NOW) == [
        "TestSmsGatewayAuthentication"
    ]
    assert settings(EnableSmsOverrideNumber=True, SmsOverrideNumber=None).missing_settings(NOW) == ["SmsOverrideNumber"]
    assert settings(SmsGatewayType="FakeSms").missing_settings(NOW)[0] == "SmsGatewayType"


@pytest.mark.parametrize(
    "stored", [{"AccountSid": "AC1"}, {"Key": "x"}, [], "text", 7, {"AccountSid": "AC" + "0" * 32}]
)
def test_credentials_written_past_us_or_for_others_let_nothing_leave(stored: Any) -> None:
    found = settings(SmsGatewayAuthentication=stored)
    assert found.gateway(NOW).send_route is None
    assert not found.is_usable("SmsGatewayAuthentication")
    assert found.missing_settings(NOW) == ["SmsGatewayAuthentication"]


def test_a_gateway_that_is_no_longer_there_lets_nothing_leave_and_shows_no_secret() -> None:
    found = settings(SmsGatewayType="FakeSms")
    assert found.gateway(NOW).send_route is None
    assert "1234" not in found.display_value("SmsGatewayAuthentication", NOW)
    with pytest.raises(SettingError, match="set SmsGatewayType to Twilio first"):
        found.parse("SmsGatewayAuthentication", "{}")


def test_both_tokens_are_accepted_while_one_is_replaced_and_the_new_one_signs_in() -> None:
    value = {
        **VALUES["SmsGatewayAuthentication"],
        "AuthToken": "token-new-5678",
        "PreviousAuthToken": "token-live-1234",
    }
    credentials = settings(SmsGatewayAuthentication=value).gateway(NOW).credentials
    assert credentials is not None
    assert credentials.signing_tokens == ("token-new-5678", "token-live-1234")
    assert credentials.password == "token-new-5678"

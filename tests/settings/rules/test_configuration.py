from typing import Any

import pytest

from portal.core.rules.routing import Mode
from portal.core.rules.setting_error import SettingError
from portal.gateways.rules.twilio_settings import TWILIO_SCHEMA
from portal.settings.rules.configuration import Configuration, check_expiry, goes_live_at_ms

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


def settings(expiries: dict[str, int] | None = None, **values: Any) -> Configuration:
    stored = {name: value for name, value in {**VALUES, **values}.items() if value is not None}
    return Configuration({"Twilio": TWILIO_SCHEMA}, stored, expiries or {})


def test_switch_is_off_once_it_expires() -> None:
    config = settings({TEST: LATER}, EnableSmsTestMode=True)
    assert [config.gateway(at_ms).switches.mode for at_ms in (NOW, LATER - 1, LATER, LATER + HOUR)] == [
        Mode.TEST,
        Mode.TEST,
        Mode.LIVE,
        Mode.LIVE,
    ]
    assert [config.display_value(TEST, at_ms) for at_ms in (NOW, LATER)] == ["true", "false"]


def test_each_switch_expires_at_its_own_time() -> None:
    config = settings({TEST: LATER, OVERRIDE: LATER + HOUR}, EnableSmsTestMode=True, EnableSmsOverrideNumber=True)
    modes = [config.gateway(at_ms).switches.mode for at_ms in (NOW, LATER, LATER + HOUR)]
    assert modes == [Mode.TEST_OVERRIDE, Mode.OVERRIDE, Mode.LIVE]
    assert config.live_from_ms("sms", NOW) == LATER + HOUR


def test_changed_setting_loses_its_expiry() -> None:
    config = settings({TEST: LATER}, EnableSmsTestMode=True)
    assert config.with_value(TEST, True).expires_at_ms_by_name == {}
    assert config.with_value(TEST, True, LATER + 1).expires_at_ms_by_name == {TEST: LATER + 1}
    assert config.with_value(OVERRIDE, True).expires_at_ms_by_name == {TEST: LATER}


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
def test_going_live_is_detected_now_and_at_expiry(
    before: Configuration, name: str, value: Any, expires_at_ms: int | None, live_ms: int | None
) -> None:
    assert goes_live_at_ms(before, before.with_value(name, value, expires_at_ms), NOW) == live_ms
    assert live_ms is None or before.could_go_live(name, NOW)


@pytest.mark.parametrize("name", ["SmsOverrideNumber", "TestSmsGatewaySettings", "TestSmsGatewayAuthentication"])
def test_settings_that_cannot_go_live_need_no_confirmation(name: str) -> None:
    for before in (settings(), settings(EnableSmsTestMode=True), settings(EnableSmsNotifications=False)):
        assert not before.could_go_live(name, NOW)


def test_invalid_expiry_is_rejected() -> None:
    for name, value, expires_at_ms in (
        (FEATURE, True, LATER),
        (TEST, False, LATER),
        (TEST, True, NOW),
        (OVERRIDE, True, NOW + 367 * 24 * HOUR),
    ):
        with pytest.raises(SettingError) as raised:
            check_expiry(name, value, expires_at_ms, NOW)
        assert raised.value.errors_by_key["expires_at"].startswith(name)
    check_expiry(TEST, True, LATER, NOW)
    check_expiry(FEATURE, True, None, NOW)


def test_missing_settings_are_listed_by_name() -> None:
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
def test_unusable_credentials_have_no_send_route(stored: Any) -> None:
    config = settings(SmsGatewayAuthentication=stored)
    assert config.gateway(NOW).send_route is None
    assert not config.is_usable("SmsGatewayAuthentication")
    assert config.missing_settings(NOW) == ["SmsGatewayAuthentication"]


def test_unknown_provider_has_no_send_route() -> None:
    config = settings(SmsGatewayType="FakeSms")
    assert config.gateway(NOW).send_route is None
    assert "1234" not in config.display_value("SmsGatewayAuthentication", NOW)
    with pytest.raises(SettingError, match="depends on SmsGatewayType: set that to Twilio first"):
        config.parse("SmsGatewayAuthentication", "{}")


def test_old_and_new_token_both_sign_webhooks() -> None:
    value = {
        **VALUES["SmsGatewayAuthentication"],
        "AuthToken": "token-new-5678",
        "PreviousAuthToken": "token-live-1234",
    }
    credentials = settings(SmsGatewayAuthentication=value).gateway(NOW).credentials
    assert credentials is not None
    assert credentials.signing_tokens == ("token-new-5678", "token-live-1234")
    assert credentials.password == "token-new-5678"

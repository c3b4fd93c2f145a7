import json
from typing import Any

import pytest

from portal.core.rules.routing import Mode
from portal.core.rules.setting_error import SettingError
from portal.gateways.rules.twilio_settings import TWILIO_SCHEMA
from portal.settings.rules.app_config import DEFINITIONS, GatewayConfig
from portal.settings.rules.configuration import Configuration

SID = "AC" + "0123456789abcdef" * 2
KEY = "SK" + "0123456789abcdef" * 2
SERVICE = "MG" + "0123456789abcdef" * 2
TOKEN = "a-very-secret-token-9f3c"
LIVE = {"AccountSid": SID, "AuthToken": TOKEN}
TEST = {"AccountSid": SID.upper(), "AuthToken": "test-token-77aa"}
SENDER = {"FromNumber": "+12025550100"}
NUMBER = "+12025550199"
PROVIDERS = {"Twilio": TWILIO_SCHEMA}
NAMES = (
    "EnableSmsNotifications",
    "SmsGatewayType",
    "SmsGatewayAuthentication",
    "SmsGatewaySettings",
    "ReportConsentToTwilio",
    "EnableSmsOverrideNumber",
    "SmsOverrideNumber",
    "EnableSmsTestMode",
    "TestSmsGatewayAuthentication",
    "TestSmsGatewaySettings",
)
WEBHOOK = {"Url": "https://example.org/alerts", "Secret": "sixteen-letters!"}
ON: dict[str, Any] = {
    "EnableSmsNotifications": True,
    "SmsGatewayAuthentication": LIVE,
    "SmsGatewaySettings": SENDER,
    "TestSmsGatewayAuthentication": TEST,
    "TestSmsGatewaySettings": {"FromNumber": "+15005550006"},
    "SmsOverrideNumber": NUMBER,
}


def parse(name: str, text: str, **stored: Any) -> Any:
    return Configuration(PROVIDERS, stored).parse(name, text)


def gateway_from(values: dict[str, Any]) -> GatewayConfig:
    return Configuration(PROVIDERS, values).gateway(0)


def displayed(name: str, value: Any) -> str:
    return Configuration(PROVIDERS, {name: value}).display_value(name, 0)


def authentication(**changes: Any) -> str:
    return json.dumps({key: value for key, value in {**LIVE, **changes}.items() if value is not ...})


def sender(**changes: Any) -> str:
    return json.dumps({key: value for key, value in {**SENDER, **changes}.items() if value is not ...})


def test_every_setting_has_a_definition() -> None:
    sends = ("SmsPricePerSegment", "SendUndoSeconds", "SendApprovalRecipients")
    retention = tuple(f"Retention{kind}Days" for kind in ("Bodies", "Events", "Deliveries", "Inbound", "Audit"))
    alerts = ("AlertFailurePercent", "AlertSegmentsPerDay", "AlertWebhook")
    email = ("EnableEmailOverride", "EmailOverrideAddress")
    installation = ("PublicUrl", "Region", "TimeZone", "Language", "EmailServer")
    limits = ("SmsQuietHours", "SmsFrequencyCap")
    assert tuple(DEFINITIONS) == (*NAMES, *email, *limits, *sends, *retention, *alerts, *installation, "Business")


def test_webhook_keeps_its_secret_when_only_its_address_changes() -> None:
    moved = json.dumps({"Url": "https://example.net/", "Secret": ""})
    assert parse("AlertWebhook", moved, AlertWebhook=WEBHOOK) == {**WEBHOOK, "Url": "https://example.net/"}
    assert WEBHOOK["Secret"] not in displayed("AlertWebhook", WEBHOOK)


def test_only_credentials_are_secret() -> None:
    assert {name for name in NAMES if DEFINITIONS[name].is_secret} == {
        "SmsGatewayAuthentication",
        "TestSmsGatewayAuthentication",
    }


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("EnableSmsNotifications", "true", True),
        ("EnableSmsNotifications", " False\n", False),
        ("EnableSmsOverrideNumber", "TRUE", True),
        ("EnableSmsTestMode", "false", False),
        ("SmsGatewayType", "Twilio", "Twilio"),
        ("SmsOverrideNumber", "+11234567890", "+11234567890"),
        ("SmsOverrideNumber", " +15005550006 ", "+15005550006"),
        ("SmsGatewayAuthentication", authentication(), LIVE),
        (
            "SmsGatewayAuthentication",
            authentication(AuthToken=..., ApiKeySid=KEY, ApiKeySecret="s"),
            {"AccountSid": SID, "ApiKeySid": KEY, "ApiKeySecret": "s"},
        ),
        ("TestSmsGatewayAuthentication", authentication(), LIVE),
        ("SmsGatewaySettings", sender(), SENDER),
        ("SmsGatewaySettings", sender(FromNumber="12345"), {"FromNumber": "12345"}),
        ("SmsGatewaySettings", sender(SegmentsPerSecond=0.5), {**SENDER, "SegmentsPerSecond": 0.5}),
        ("SmsGatewaySettings", sender(NumberType="short_code"), {**SENDER, "NumberType": "short_code"}),
        ("SmsGatewaySettings", sender(FromNumber=..., MessagingServiceSid=SERVICE), {"MessagingServiceSid": SERVICE}),
        ("SmsGatewaySettings", sender(MoreNumbers=["+12025550101"]), {**SENDER, "MoreNumbers": ["+12025550101"]}),
        ("TestSmsGatewaySettings", sender(FromNumber="+15005550006"), {"FromNumber": "+15005550006"}),
        ("SmsPricePerSegment", "0.0079", "0.0079"),
        ("SmsPricePerSegment", " 1.50 ", "1.5"),
        ("SmsPricePerSegment", "", None),
        ("SendUndoSeconds", "0", 0),
        ("SendUndoSeconds", "120", 120),
        ("SendUndoSeconds", " ", None),
        ("SendApprovalRecipients", "500", 500),
        ("SendApprovalRecipients", "", None),
        ("RetentionBodiesDays", "30", 30),
        ("RetentionBodiesDays", "", None),
        ("AlertFailurePercent", "100", 100),
        ("AlertSegmentsPerDay", "", None),
        ("AlertWebhook", "{}", {}),
        ("AlertWebhook", json.dumps(WEBHOOK), WEBHOOK),
        (
            "AlertWebhook",
            json.dumps({**WEBHOOK, "Url": "http://[::1]:8000/"}),
            {**WEBHOOK, "Url": "http://[::1]:8000/"},
        ),
    ],
)
def test_valid_setting_is_parsed(name: str, text: str, value: Any) -> None:
    assert parse(name, text) == value


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("EnableSmsNotifications", "", "must be true or false, not ''"),
        ("EnableSmsNotifications", "yes", "must be true or false, not 'yes'"),
        ("EnableSmsOverrideNumber", "1", "must be true or false"),
        ("EnableSmsTestMode", "null", "must be true or false"),
        ("SmsGatewayType", "", "must be Twilio"),
        ("SmsGatewayType", "twilio", "must be Twilio"),
        ("SmsGatewayType", "Vonage", "must be Twilio, the only gateway available, not 'Vonage'"),
        ("SmsOverrideNumber", "", "must start with a plus and the country code"),
        ("SmsOverrideNumber", "2025550100", "must start with a plus and the country code"),
        ("SmsOverrideNumber", "+1 202 555 0100", "must start with a plus and the country code"),
        ("SmsOverrideNumber", "+12025550100123456", "must start with a plus and the country code"),
        ("SmsOverrideNumber", '"+12025550100"', "must start with a plus and the country code"),
        ("SmsGatewayAuthentication", "", "is not valid JSON"),
        ("SmsGatewayAuthentication", "{", "is not valid JSON (line 1, column 2): a key in double quotes is missing."),
        ("SmsGatewayAuthentication", "{\n'AccountSid': 1}", "(line 2, column 1)"),
        ("SmsGatewayAuthentication", "[]", "must be a JSON object"),
        ("SmsGatewayAuthentication", "null", "must be a JSON object"),
        ("SmsGatewayAuthentication", '"text"', "must be a JSON object"),
        ("SmsGatewayAuthentication", "{}", 'needs "AccountSid"'),
        ("SmsGatewayAuthentication", authentication(AuthToken=...), 'needs "AuthToken", or both "ApiKeySid"'),
        (
            "SmsGatewayAuthentication",
            authentication(AuthToken=..., ApiKeySid=KEY),
            '"ApiKeySid" and "ApiKeySecret" go together',
        ),
        ("SmsGatewayAuthentication", authentication(AccountSid=...), 'needs "AccountSid"'),
        ("SmsGatewayAuthentication", authentication(AccountSid="AC1"), '"AccountSid" must be AC followed by 32'),
        ("SmsGatewayAuthentication", authentication(AccountSid=KEY), '"AccountSid" must be AC followed by 32'),
        ("SmsGatewayAuthentication", authentication(AccountSid=7), '"AccountSid" must be text'),
        ("SmsGatewayAuthentication", authentication(AuthToken=""), '"AuthToken" must be text and not empty'),
        ("SmsGatewayAuthentication", authentication(AuthToken=None), '"AuthToken" must be text and not empty'),
        ("SmsGatewayAuthentication", authentication(AuthToken="a\nb"), '"AuthToken" must be text'),
        ("SmsGatewayAuthentication", authentication(AuthToken="a\x00b"), '"AuthToken" must be text'),
        ("SmsGatewayAuthentication", authentication(authToken="x"), 'there is no key "authToken"'),
        ("SmsGatewayAuthentication", authentication(FromNumber="+1"), 'there is no key "FromNumber"'),
        ("TestSmsGatewayAuthentication", authentication(ApiKeySid="SK"), '"ApiKeySid" must be SK followed by 32'),
        ("SmsGatewaySettings", "+12025550100", "is not valid JSON"),
        ("SmsGatewaySettings", "12025550100", "must be a JSON object"),
        ("SmsGatewaySettings", "{}", 'needs "FromNumber"'),
        ("SmsGatewaySettings", sender(FromNumber="2025550100"), '"FromNumber" must be in E.164'),
        ("SmsGatewaySettings", sender(FromNumber="1234"), "or a short code of 5-6 digits"),
        ("SmsGatewaySettings", sender(MoreNumbers=[]), '"MoreNumbers" must be a list of at most 20 texts'),
        ("SmsGatewaySettings", sender(MoreNumbers="+12025550101"), '"MoreNumbers" must be a list of at most 20 texts'),
        (
            "SmsGatewaySettings",
            sender(MoreNumbers=["+12025550101", 7]),
            '"MoreNumbers" must be a list of at most 20 texts',
        ),
        ("SmsGatewaySettings", sender(MoreNumbers=["+1202555"]), '"MoreNumbers": "+1202555" must be a possible phone'),
        ("SmsGatewaySettings", sender(MoreNumbers=["+12025550100"]), "or repeats the FromNumber"),
        ("SmsGatewaySettings", sender(MoreNumbers=["+12025550101", "+12025550101"]), "has a number twice"),
        ("SmsGatewaySettings", sender(MoreNumbers=["12345"]), "must have the same type as the FromNumber"),
        (
            "SmsGatewaySettings",
            sender(MessagingServiceSid=SERVICE, MoreNumbers=["+12025550101"]),
            "the messaging service chooses",
        ),
        (
            "SmsGatewaySettings",
            sender(MoreNumbers=["+442079460018"], NumberType="toll_free"),
            "in the United States or Canada",
        ),
        ("SmsGatewaySettings", sender(FromNumber=12025550100), '"FromNumber" must be text'),
        ("SmsGatewaySettings", sender(FromNumber=["+12025550100"]), '"FromNumber" must be text'),
        ("SmsGatewaySettings", sender(FromNumber="+12025550100\n"), '"FromNumber" must be text'),
        ("SmsGatewaySettings", sender(MessagingServiceSid="MG"), '"MessagingServiceSid" must be MG followed by 32'),
        (
            "SmsGatewaySettings",
            sender(NumberType="pager"),
            '"NumberType" must be one of long_code, toll_free, short_code',
        ),
        ("SmsGatewaySettings", sender(NumberType={}), '"NumberType" must be text'),
        ("SmsGatewaySettings", sender(SegmentsPerSecond=0), '"SegmentsPerSecond" must be a number from 0.01 to 1,000'),
        ("SmsGatewaySettings", sender(SegmentsPerSecond=-1), '"SegmentsPerSecond" must be a number'),
        ("SmsGatewaySettings", sender(SegmentsPerSecond=1001), '"SegmentsPerSecond" must be a number'),
        ("SmsGatewaySettings", sender(SegmentsPerSecond="10"), '"SegmentsPerSecond" must be a number'),
        ("SmsGatewaySettings", sender(SegmentsPerSecond=True), '"SegmentsPerSecond" must be a number'),
        ("SmsGatewaySettings", sender(SegmentsPerSecond=None), '"SegmentsPerSecond" must be a number'),
        ("SmsGatewaySettings", sender(SegmentsPerSecond=float("nan")), '"SegmentsPerSecond" must be a number'),
        ("SmsGatewaySettings", sender(SegmentsPerSecond=float("inf")), '"SegmentsPerSecond" must be a number'),
        ("SmsGatewaySettings", sender(TwilioAnswers="STOP"), '"TwilioAnswers" must be a list of some of STOP, HELP'),
        ("SmsGatewaySettings", sender(TwilioAnswers=["STOP", "START"]), "must be a list of some of STOP, HELP"),
        *(
            ("SmsGatewaySettings", sender(FromNumber="12345", NumberType=wrong), '"NumberType" must be short_code')
            for wrong in ("long_code", "toll_free")
        ),
        (
            "SmsGatewaySettings",
            sender(FromNumber="+442079460018", NumberType="toll_free"),
            "in the United States or Canada",
        ),
        ("SmsGatewaySettings", sender(TwilioAnswers=["stop"]), '"TwilioAnswers" must be a list'),
        ("SmsGatewaySettings", sender(TwilioAnswers=[["STOP"]]), '"TwilioAnswers" must be a list'),
        ("SmsGatewaySettings", sender(TwilioAnswers=None), '"TwilioAnswers" must be a list'),
        ("TestSmsGatewaySettings", sender(Fromnumber="x"), 'there is no key "Fromnumber". The keys are FromNumber'),
    ],
)
def test_invalid_setting_error_names_setting_key_and_rule(name: str, text: str, message: str) -> None:
    with pytest.raises(SettingError) as raised:
        parse(name, text)
    assert str(raised.value).startswith(name)
    assert message in str(raised.value)
    assert TOKEN not in str(raised.value)


@pytest.mark.parametrize("name", ["", "Nothing", "enablesmsnotifications", "EnableSmsNotifications "])
def test_unknown_setting_error_lists_the_settings(name: str) -> None:
    with pytest.raises(SettingError) as raised:
        parse(name, "true")
    assert all(known in str(raised.value) for known in NAMES)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"SegmentsPerSecond": ' + "1" * 5_000 + "}"])
def test_oversized_json_is_rejected(text: str) -> None:
    with pytest.raises(SettingError, match=r"^SmsGatewaySettings"):
        parse("SmsGatewaySettings", text)


def test_api_key_without_secret_leaves_the_gateway_usable() -> None:
    try:
        value = parse("SmsGatewayAuthentication", authentication(ApiKeySid=KEY))
    except SettingError:
        return
    assert gateway_from({**ON, "SmsGatewayAuthentication": value}).credentials is not None


def test_short_code_must_have_ascii_digits() -> None:
    with pytest.raises(SettingError):
        parse("SmsGatewaySettings", sender(FromNumber="１２３４５"))


def test_complete_gateway_has_a_send_route() -> None:
    route = gateway_from(ON).send_route
    assert route is not None
    assert (route.mode, route.sender.from_number, route.override_number) == (Mode.LIVE, "+12025550100", None)
    assert (route.credentials.user, route.credentials.password) == (SID, TOKEN)
    assert route.credentials.signing_tokens == (TOKEN,)


def test_api_key_authenticates_while_token_signs_webhooks() -> None:
    value = {**LIVE, "ApiKeySid": KEY, "ApiKeySecret": "api-secret"}
    credentials = gateway_from({**ON, "SmsGatewayAuthentication": value}).credentials
    assert credentials is not None
    assert (credentials.user, credentials.password, credentials.account_sid) == (KEY, "api-secret", SID)
    assert credentials.signing_tokens == (TOKEN,)


def test_test_mode_uses_test_credentials_and_number() -> None:
    route = gateway_from({**ON, "EnableSmsTestMode": True}).send_route
    assert route is not None
    assert (route.mode, route.sender.from_number, route.credentials.password) == (
        Mode.TEST,
        "+15005550006",
        "test-token-77aa",
    )


def test_test_mode_never_falls_back_to_live_credentials() -> None:
    values = {**ON, "EnableSmsTestMode": True, "TestSmsGatewayAuthentication": None}
    gateway = gateway_from(values)
    assert (gateway.send_route, gateway.credentials, gateway.switches.configured) == (None, None, False)


@pytest.mark.parametrize(
    ("changes", "mode", "override"),
    [
        ({"EnableSmsOverrideNumber": True}, Mode.OVERRIDE, NUMBER),
        ({"EnableSmsOverrideNumber": True, "EnableSmsTestMode": True}, Mode.TEST_OVERRIDE, NUMBER),
        ({"EnableSmsOverrideNumber": False}, Mode.LIVE, None),
        ({}, Mode.LIVE, None),
    ],
)
def test_override_number_applies_only_while_enabled(changes: dict[str, Any], mode: Mode, override: str | None) -> None:
    route = gateway_from({**ON, **changes}).send_route
    assert route is not None
    assert (route.mode, route.override_number) == (mode, override)


@pytest.mark.parametrize(
    "changes",
    [
        {"EnableSmsNotifications": False},
        {"EnableSmsNotifications": None},
        {"SmsGatewayAuthentication": None},
        {"SmsGatewaySettings": None},
        {"EnableSmsOverrideNumber": True, "SmsOverrideNumber": None},
    ],
)
def test_incomplete_gateway_has_no_send_route(changes: dict[str, Any]) -> None:
    assert gateway_from({**ON, **changes}).send_route is None


def test_empty_settings_have_no_send_route() -> None:
    gateway = gateway_from({})
    assert gateway.send_route is None
    assert gateway.switches.mode is Mode.OFF


@pytest.mark.parametrize(
    ("settings", "rate"),
    [
        ({}, 1.0),
        ({"NumberType": "toll_free"}, 3.0),
        ({"NumberType": "short_code"}, 100.0),
        ({"NumberType": "short_code", "SegmentsPerSecond": 30}, 30.0),
    ],
)
def test_rate_defaults_to_that_of_the_number_type(settings: dict[str, Any], rate: float) -> None:
    sender_settings = gateway_from({**ON, "SmsGatewaySettings": {**SENDER, **settings}}).sender
    assert sender_settings is not None
    assert sender_settings.segments_per_second == rate


TOLL_FREE = [f"+18{pair}5550100" for pair in ("00", "22", "33", "44", "55", "66", "77", "88")]
LONG = [
    "+12025550100",
    "+18085550100",
    "+18105550100",
    "+18895550100",
    "+15005550006",
    "+448001111111",
    "+4915112345678",
]


@pytest.mark.parametrize("number", [*TOLL_FREE, *LONG, "12345", "654321"])
def test_number_type_defaults_to_that_of_the_number(number: str) -> None:
    sender_settings = gateway_from({**ON, "SmsGatewaySettings": {"FromNumber": number}}).sender
    expected = "toll_free" if number in TOLL_FREE else "long_code" if number in LONG else "short_code"
    assert sender_settings is not None
    assert (sender_settings.number_type, sender_settings.has_explicit_type) == (expected, False)
    assert sender_settings.segments_per_second == {"toll_free": 3.0, "long_code": 1.0, "short_code": 100.0}[expected]


@pytest.mark.parametrize("number", [*TOLL_FREE, *LONG])
def test_explicit_number_type_wins_over_the_inferred_one(number: str) -> None:
    explicit = gateway_from({**ON, "SmsGatewaySettings": {"FromNumber": number, "NumberType": "long_code"}}).sender
    assert explicit is not None
    assert (explicit.number_type, explicit.has_explicit_type) == ("long_code", True)


def test_sending_numbers_of_mixed_types_are_refused() -> None:
    mixed = {"FromNumber": TOLL_FREE[0], "MoreNumbers": [TOLL_FREE[1], LONG[0]]}
    assert gateway_from({**ON, "SmsGatewaySettings": mixed}).sender is None
    with pytest.raises(SettingError, match="toll-free or not"):
        parse("SmsGatewaySettings", json.dumps(mixed), **ON)
    alike = parse("SmsGatewaySettings", json.dumps({**mixed, "MoreNumbers": TOLL_FREE[1:3]}), **ON)
    sender_settings = gateway_from({**ON, "SmsGatewaySettings": alike}).sender
    assert sender_settings is not None
    assert sender_settings.total_segments_per_second == 9.0


def test_messaging_service_is_its_own_sender_key() -> None:
    sender_settings = gateway_from({**ON, "SmsGatewaySettings": {**SENDER, "MessagingServiceSid": SERVICE}}).sender
    assert sender_settings is not None
    assert sender_settings.sender_key == SERVICE


@pytest.mark.parametrize(
    ("settings", "number_type", "keywords"),
    [
        ({}, "long_code", {"STOP", "HELP"}),
        ({"NumberType": "toll_free"}, "toll_free", {"STOP", "HELP"}),
        ({"NumberType": "short_code"}, "short_code", set()),
        ({"FromNumber": "12345"}, "short_code", set()),
        ({"NumberType": "short_code", "MessagingServiceSid": SERVICE}, "short_code", {"STOP", "HELP"}),
        ({"TwilioAnswers": []}, "long_code", set()),
        ({"NumberType": "short_code", "TwilioAnswers": ["HELP"]}, "short_code", {"HELP"}),
    ],
)
def test_auto_replied_keywords_default_by_number_type(
    settings: dict[str, Any], number_type: str, keywords: set[str]
) -> None:
    sender_settings = gateway_from({**ON, "SmsGatewaySettings": {**SENDER, **settings}}).sender
    assert sender_settings is not None
    assert (sender_settings.number_type, set(sender_settings.auto_replied_keywords)) == (number_type, keywords)


@pytest.mark.parametrize("changes", [{}, {"EnableSmsTestMode": True}])
def test_repr_contains_no_secret(changes: dict[str, Any]) -> None:
    gateway = gateway_from({**ON, **changes})
    for text in (repr(gateway), str(gateway), f"{gateway.send_route!r}", f"{gateway.credentials}"):
        assert TOKEN not in text
        assert TEST["AuthToken"] not in text


@pytest.mark.parametrize("name", ["SmsGatewayAuthentication", "TestSmsGatewayAuthentication"])
def test_secret_is_masked_except_its_last_four_characters(name: str) -> None:
    text = displayed(name, {**LIVE, "ApiKeySid": KEY, "ApiKeySecret": "another-secret-1234"})
    assert json.loads(text) == {
        "AccountSid": SID,
        "AuthToken": "••••9f3c",
        "ApiKeySid": KEY,
        "ApiKeySecret": "••••1234",
    }


def test_short_secret_is_masked_completely() -> None:
    assert "wxyz" not in displayed("SmsGatewayAuthentication", {"AccountSid": SID, "AuthToken": "wxyz"})


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("EnableSmsNotifications", True, "true"),
        ("EnableSmsNotifications", False, "false"),
        ("EnableSmsNotifications", None, ""),
        ("SmsGatewayType", "Twilio", "Twilio"),
        ("SmsOverrideNumber", NUMBER, NUMBER),
        ("SmsGatewaySettings", SENDER, '{"FromNumber": "+12025550100"}'),
        ("SmsGatewayAuthentication", None, ""),
    ],
)
def test_displayed_setting_can_be_parsed_again(name: str, value: Any, text: str) -> None:
    assert displayed(name, value) == text
    if text:
        assert parse(name, text) == value

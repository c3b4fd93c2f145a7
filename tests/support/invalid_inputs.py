"""At least thirty invalid inputs for each setting; none of them may be saved."""

import json
from typing import Any

SID = "AC" + "0123456789abcdef" * 2
TOKEN = "typed-token-5e1f"
PHONE_NUMBER = "+12025550100"
_LONG_TEXT = "x" * 30_000
_INVALID_ANYWHERE = (
    *("", " ", "\t\n", "null", "None", "undefined", "-", "?", "{}", "[]", '""', "[1, 2]", '{"a": 1}', "<b>true</b>"),
    *("${value}", "{{ value }}", "' OR 1=1 --", "\u202eeurt", "ｔｒｕｅ", "…", "🚀", _LONG_TEXT),
)
_INVALID_FLAGS = (
    *(
        "yes",
        "no",
        "on",
        "off",
        "1",
        "0",
        "t",
        "f",
        "tru",
        "truefalse",
        "true false",
        "true\nfalse",
        '"true"',
        "[true]",
    ),
    *("-1", "1e3", "wahr", "true;", "=true", "'true'", "not true"),
)
_INVALID_GATEWAYS = (
    "twilio",
    "TWILIO",
    "Vonage",
    "Twilio.com",
    "Twilio Inc",
    "Twi lio",
    "Twіlio",
    '"Twilio"',
    "Twilio,",
    "Twilio;",
)
_INVALID_PHONE_NUMBERS = (
    *("2025550100", "12025550100", "0012025550100", "+0123456789", "+", "++12025550100", "+1", "+12", "+1202555010"),
    *("+120255501000", "+12025550100123456", "+12025550100x5", "+1202555O100", "tel:+12025550100", "(202) 555-0100"),
    *("+1 202 555 0100", "+1-202-555-0100", "+1.202.555.0100", "+1 (202) 555-0100", "+١٢٠٢٥٥٥٠١٠٠", "＋12025550100"),
    *("+12025550100\n+12025550101", "+12025550100,+12025550101", '"+12025550100"', "12345", "+99912345678", "true"),
)


def _credentials(**changes: Any) -> str:
    value = {"AccountSid": SID, "AuthToken": TOKEN, **changes}
    return json.dumps({key: item for key, item in value.items() if item is not ...})


def _sender(**changes: Any) -> str:
    value = {"FromNumber": PHONE_NUMBER, **changes}
    return json.dumps({key: item for key, item in value.items() if item is not ...})


_INVALID_JSON = (
    *("{", "}", "{'a': 1}", '{"AccountSid": }', '{"FromNumber": ', "true", "12", "1e400", '{"a": 1,}', "[" * 5_000),
    *(
        '{"FromNumber": "+12025550100", "FromNumber": "+12025550101"}',
        f'{{"AccountSid": "{SID}", "AccountSid": "{SID}"}}',
    ),
    *('{"n": ' + "9" * 5_000 + "}", '{"\\ud800": "x"}', f'{{"{_LONG_TEXT}": 1}}', '{"": ""}', "﻿{}", "AccountSid=AC1"),
)
_INVALID_CREDENTIALS = (
    *(
        _credentials(AccountSid=sid)
        for sid in (..., "", "AC", SID[:-1], SID + "0", SID.replace("AC", "SK"), 7, None, [SID])
    ),
    *(_credentials(AccountSid=sid) for sid in (SID.replace("0", "g"), f" {SID}", f"{SID}\n", {"sid": SID}, "••••cdef")),
    *(
        _credentials(AuthToken=token)
        for token in (..., "", None, 7, True, ["x"], {"a": "b"}, "a\nb", "a\x00b", " x", "y ")
    ),
    *(_credentials(AuthToken=token) for token in ("••••5e1f", "tökén-ünïcode", _LONG_TEXT[:500], "\ud800")),
    *(
        _credentials(ApiKeySid="SK" + "0" * 32),
        _credentials(ApiKeySecret="s"),
        _credentials(ApiKeySid="SK", ApiKeySecret="s"),
    ),
    *(_credentials(PreviousAuthToken=""), _credentials(PreviousAuthToken=7), _credentials(authToken="x")),
    *(_credentials(FromNumber=PHONE_NUMBER), json.dumps([{"AccountSid": SID, "AuthToken": TOKEN}])),
)
_INVALID_RATES: tuple[Any, ...] = (0, -1, 0.001, 1001, "10", "fast", True, None, [1], {}, float("nan"))
_INVALID_SENDERS = (
    *(
        _sender(FromNumber=number)
        for number in (..., "", None, 12025550100, True, [PHONE_NUMBER], {"n": PHONE_NUMBER}, "1234", "1234567")
    ),
    *(_sender(FromNumber=number) for number in _INVALID_PHONE_NUMBERS if number != "12345"),
    *(_sender(MessagingServiceSid=sid) for sid in ("", "MG", "MG" + "0" * 31, "AC" + "0" * 32, 7, None)),
    *(_sender(NumberType=number_type) for number_type in ("", "pager", "Long code", 7, None, ["long_code"])),
    *(_sender(SegmentsPerSecond=rate) for rate in _INVALID_RATES),
    *(
        _sender(SegmentsPerSecond=float("inf")),
        _sender(SegmentsPerSecond=float("-inf")),
        _sender(SegmentsPerSecond=1e300),
    ),
    *(
        _sender(TwilioAnswers=keywords)
        for keywords in ("STOP", ["stop"], ["STOP", "QUIT"], [["STOP"]], [None], {"STOP": 1}, None, 7)
    ),
    *(_sender(AuthToken=TOKEN), _sender(fromNumber=PHONE_NUMBER), _sender(Region="US")),
)

_INVALID_NUMBERS = (
    *(text for text in _INVALID_ANYWHERE if text.strip()),
    *("-1", "+1", "1e2", "0x10", "1 000", "1,000", "ten", "NaN", "Infinity", "½", "٣", "1/2", "9" * 40, "1.2.3", "1."),
)

_RETENTION = tuple(f"Retention{kind}Days" for kind in ("Bodies", "Events", "Deliveries", "Inbound", "Audit"))


def _webhook(**changes: Any) -> str:
    value = {"Url": "https://example.org/alerts", "Secret": "sixteen-letters!", **changes}
    return json.dumps({key: item for key, item in value.items() if item is not ...})


_INVALID_WEBHOOKS = (
    *(
        _webhook(Url=url)
        for url in ("http://example.org/", "http://127.0.0.1.example.org/", "https://", "example.org", "//example.org")
    ),
    *(_webhook(Url=url) for url in ("https://user:secret@example.org/", "https://exa mple.org/", "ftp://localhost/")),
    *(_webhook(Url=url) for url in ("http://10.0.0.1/", "http://[::2]/", "https://example.org:99999/", "file:///x", 7)),
    *(_webhook(Secret=secret) for secret in (..., None, 7, "fifteen-letter", "••••ers!", "sechzehn-büchstaben")),
    *(_webhook(Url=...), _webhook(Url=""), _webhook(url="https://example.org"), _webhook(Token="x")),
)

INVALID_VALUES: dict[str, tuple[str, ...]] = {
    "EnableSmsNotifications": _INVALID_ANYWHERE + _INVALID_FLAGS,
    "SmsGatewayType": _INVALID_ANYWHERE + _INVALID_GATEWAYS,
    "SmsGatewayAuthentication": _INVALID_ANYWHERE + _INVALID_JSON + _INVALID_CREDENTIALS,
    "SmsGatewaySettings": _INVALID_ANYWHERE + _INVALID_JSON + _INVALID_SENDERS,
    "EnableSmsOverrideNumber": _INVALID_ANYWHERE + _INVALID_FLAGS,
    "SmsOverrideNumber": _INVALID_ANYWHERE + _INVALID_PHONE_NUMBERS,
    "EnableSmsTestMode": _INVALID_ANYWHERE + _INVALID_FLAGS,
    "TestSmsGatewayAuthentication": _INVALID_ANYWHERE + _INVALID_JSON + _INVALID_CREDENTIALS,
    "TestSmsGatewaySettings": _INVALID_ANYWHERE + _INVALID_JSON + _INVALID_SENDERS,
    "SmsQuietHours": (*_INVALID_NUMBERS, "20:00", "20:00-", "-08:00", "8-8", "25:00-08:00", "9pm-8am", "20:00Z-8:00Z"),
    "SmsFrequencyCap": (*_INVALID_NUMBERS, "0", "101", "1.5", "none", "3 texts"),
    "SmsPricePerSegment": (*_INVALID_NUMBERS, "0", "0.00", "100", "$1", "0,0079", ".5", "0.0000001", "1 USD"),
    "SendUndoSeconds": (*_INVALID_NUMBERS, "121", "1.5", "10s", "00010"),
    "SendApprovalRecipients": (*_INVALID_NUMBERS, "0", "10000001", "1.5", "many"),
    **dict.fromkeys(_RETENTION, (*_INVALID_NUMBERS, "0", "29", "36501", "1.5", "30 days")),
    "AlertFailurePercent": (*_INVALID_NUMBERS, "0", "101", "1.5", "5%"),
    "AlertSegmentsPerDay": (*_INVALID_NUMBERS, "0", "100000001", "1.5", "many"),
    "AlertWebhook": (
        *(text for text in (*_INVALID_ANYWHERE, *_INVALID_JSON) if text.strip("\ufeff") != "{}"),
        *_INVALID_WEBHOOKS,
    ),
}
VALID_VALUES: dict[str, str] = {
    "EnableSmsNotifications": "true",
    "SmsGatewayType": "Twilio",
    "SmsGatewayAuthentication": _credentials(AuthToken="stored-token-77aa"),
    "SmsGatewaySettings": _sender(),
    "EnableSmsOverrideNumber": "true",
    "SmsOverrideNumber": "+12025550142",
    "EnableSmsTestMode": "true",
    "TestSmsGatewayAuthentication": _credentials(AuthToken="stored-token-77bb"),
    "TestSmsGatewaySettings": _sender(FromNumber="+15005550006"),
    "SmsQuietHours": "21:00-08:00",
    "SmsFrequencyCap": "5",
    "SmsPricePerSegment": "0.0083",
    "SendUndoSeconds": "20",
    "SendApprovalRecipients": "1000",
    **dict.fromkeys(_RETENTION, "365"),
    "AlertFailurePercent": "4",
    "AlertSegmentsPerDay": "20000",
    "AlertWebhook": _webhook(Secret="stored-secret-77cc"),
}

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.core.rules.setting_error import SettingError
from portal.core.rules.setting_schema import MASK, mask_secret
from portal.gateways.rules.twilio_settings import TWILIO_SCHEMA
from portal.settings.rules.configuration import Configuration
from tests.support.invalid_inputs import INVALID_VALUES, VALID_VALUES

PROVIDERS = {"Twilio": TWILIO_SCHEMA}
SID, KEY = "AC" + "0" * 32, "SK" + "1" * 32
STORED = {
    "AccountSid": SID,
    "AuthToken": "token-of-before-1234",
    "ApiKeySid": KEY,
    "ApiKeySecret": "secret-of-before-99",
}
CREDENTIALS, SENDER = TWILIO_SCHEMA.credentials_schema, TWILIO_SCHEMA.sender_schema


@pytest.mark.parametrize("name", INVALID_VALUES)
def test_each_setting_rejects_thirty_invalid_inputs(name: str) -> None:
    assert len(set(INVALID_VALUES[name])) >= 30
    for text in INVALID_VALUES[name]:
        with pytest.raises(SettingError) as raised:
            Configuration(PROVIDERS).parse(name, text)
        message = str(raised.value)
        assert message.startswith(name), text
        assert len(message.encode()) < 500, text


@pytest.mark.parametrize("name", VALID_VALUES)
def test_valid_values_are_accepted(name: str) -> None:
    assert Configuration(PROVIDERS).parse(name, VALID_VALUES[name]) is not None


@given(st.sampled_from(sorted(VALID_VALUES)), st.text() | st.recursive(st.none() | st.text(), st.lists).map(json.dumps))
def test_arbitrary_input_is_accepted_or_rejected(name: str, text: str) -> None:
    with contextlib.suppress(SettingError):
        Configuration(PROVIDERS).parse(name, text)


def test_each_invalid_key_has_its_own_error() -> None:
    with pytest.raises(SettingError) as raised:
        SENDER.parse("S", '{"FromNumber": "12", "SegmentsPerSecond": 0, "NumberType": "pager", "Color": "red"}')
    errors = raised.value.errors_by_key
    assert set(errors) == {"FromNumber", "SegmentsPerSecond", "NumberType", "Color"}
    assert all(sentence.startswith("S: ") for sentence in errors.values())
    assert all(f'"{key}"' in sentence for key, sentence in errors.items())


def test_duplicate_key_is_rejected() -> None:
    with pytest.raises(SettingError, match='the key "FromNumber" twice'):
        SENDER.parse("S", '{"FromNumber": "+12025550100", "FromNumber": "+12025550101"}')


@pytest.mark.parametrize("number", ["+1202555010", "+120255501000", "+99912345678"])
def test_impossible_sending_number_is_rejected(number: str) -> None:
    with pytest.raises(SettingError, match="must be a possible phone number"):
        SENDER.parse("S", json.dumps({"FromNumber": number}))


@pytest.mark.parametrize("number", ["+15005550001", "+15005550006", "+15005550007", "+15005550008", "+11234567890"])
def test_magic_numbers_are_valid_senders(number: str) -> None:
    assert SENDER.parse("S", json.dumps({"FromNumber": number})) == {"FromNumber": number}


@pytest.mark.parametrize("typed", ["", mask_secret(STORED["AuthToken"])])
def test_empty_or_masked_secret_keeps_the_stored_one(typed: str) -> None:
    text = json.dumps({"AccountSid": SID, "AuthToken": typed})
    assert CREDENTIALS.parse("S", text, STORED) == {"AccountSid": SID, "AuthToken": STORED["AuthToken"]}


@pytest.mark.parametrize("typed", ["", mask_secret("token-of-others-5678"), MASK])
def test_mask_of_another_secret_is_rejected(typed: str) -> None:
    with pytest.raises(SettingError, match='"AuthToken"'):
        CREDENTIALS.parse("S", json.dumps({"AccountSid": SID, "AuthToken": typed}), {"AccountSid": SID})


def test_saving_masked_values_changes_nothing() -> None:
    assert CREDENTIALS.parse("S", json.dumps(CREDENTIALS.masked_values(STORED)), STORED) == STORED


def test_history_says_only_that_a_secret_changed() -> None:
    after = {**STORED, "AuthToken": "token-of-after-5678", "ApiKeySid": "SK" + "2" * 32}
    assert CREDENTIALS.masked_for_history(after, STORED) == {
        "AccountSid": SID,
        "AuthToken": "changed",
        "ApiKeySid": "SK" + "2" * 32,
        "ApiKeySecret": MASK,
    }


def test_values_of_unknown_keys_are_masked() -> None:
    masked = [
        CREDENTIALS.masked_values({"Password": "canary-1234"}),
        CREDENTIALS.masked_for_history({"Password": "canary-1234"}, {}),
    ]
    assert "canary" not in json.dumps(masked)
    assert "canary" not in str(CREDENTIALS.without_secrets('{"authToken": "canary-1234"}'))


def test_rejected_input_is_returned_without_secrets() -> None:
    text = json.dumps({"AccountSid": "AC12", "AuthToken": "canary-1234"})
    assert json.loads(CREDENTIALS.without_secrets(text) or "") == {"AccountSid": "AC12", "AuthToken": ""}
    assert CREDENTIALS.without_secrets(text[:-1]) is None
    assert SENDER.without_secrets('{"FromNumber": ') == '{"FromNumber": '


@pytest.mark.parametrize(
    ("fields", "value"),
    [
        ({"AccountSid": SID, "AuthToken": "new"}, {"AccountSid": SID, "AuthToken": "new"}),
        ({"AccountSid": SID, "AuthToken": ""}, {"AccountSid": SID, "AuthToken": ""}),
        (
            {"AccountSid": SID, "AuthToken": "", "ApiKeySid": KEY, "ApiKeySecret": ""},
            {"AccountSid": SID, "AuthToken": "", "ApiKeySid": KEY, "ApiKeySecret": ""},
        ),
    ],
)
def test_form_keeps_secrets_left_empty(fields: Any, value: Any) -> None:
    assert CREDENTIALS.parse_form(fields, STORED) == value


def test_empty_fields_are_left_out_if_nothing_is_stored() -> None:
    fields = {"AccountSid": SID, "AuthToken": "", "ApiKeySid": "", "ApiKeySecret": ""}
    assert CREDENTIALS.parse_form(fields, {}) == {"AccountSid": SID}


@pytest.mark.parametrize(
    ("typed", "value"),
    [("3", 3), ("0.5", 0.5), ("100.0", 100.0), ("1,5", "1,5"), ("1,000", "1,000"), ("1e3", "1e3"), ("nan", "nan")],
)
def test_invalid_number_stays_text(typed: str, value: Any) -> None:
    fields = {"FromNumber": "+12025550100", "SegmentsPerSecond": typed, "MessagingServiceSid": "", "NumberType": ""}
    assert SENDER.parse_form(fields, {}) == {"FromNumber": "+12025550100", "SegmentsPerSecond": value}


def test_empty_choice_list_differs_from_a_missing_one() -> None:
    assert SENDER.parse_form({"FromNumber": "12345", "TwilioAnswers": []}, {})["TwilioAnswers"] == []
    assert "TwilioAnswers" not in SENDER.parse_form({"FromNumber": "12345"}, {})

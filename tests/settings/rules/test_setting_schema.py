import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.core.rules.setting_error import SettingError
from portal.core.rules.setting_schema import MASK, mask_secret
from portal.gateways.rules.twilio_settings import TWILIO_SCHEMA
from portal.settings.rules import app_config
from tests.support.invalid_inputs import INVALID_VALUES, VALID_VALUES

DIALECTS = {"Twilio": TWILIO_SCHEMA}
SID, KEY = "AC" + "0" * 32, "SK" + "1" * 32
STORED = {
    "AccountSid": SID,
    "AuthToken": "token-of-before-1234",
    "ApiKeySid": KEY,
    "ApiKeySecret": "secret-of-before-99",
}
CREDENTIALS, SENDER = TWILIO_SCHEMA.credentials_schema, TWILIO_SCHEMA.sender_schema


@pytest.mark.parametrize("name", INVALID_VALUES)
def test_each_setting_withstands_thirty_kinds_of_mistakes(name: str) -> None:
    assert len(set(INVALID_VALUES[name])) >= 30
    for text in INVALID_VALUES[name]:
        with pytest.raises(SettingError) as refused:
            app_config.parse_setting(name, text, {}, DIALECTS)
        said = str(refused.value)
        assert said.startswith(name), text
        assert len(said.encode()) < 500, text


@pytest.mark.parametrize("name", VALID_VALUES)
def test_what_is_right_is_taken(name: str) -> None:
    assert app_config.parse_setting(name, VALID_VALUES[name], {}, DIALECTS) is not None


@given(st.sampled_from(sorted(VALID_VALUES)), st.text() | st.recursive(st.none() | st.text(), st.lists).map(json.dumps))
def test_whatever_is_typed_is_refused_in_words_or_taken(name: str, text: str) -> None:
    with contextlib.suppress(SettingError):
        app_config.parse_setting(name, text, {}, DIALECTS)


def test_every_key_that_will_not_do_has_its_own_sentence() -> None:
    with pytest.raises(SettingError) as refused:
        SENDER.parse("S", '{"FromNumber": "12", "SegmentsPerSecond": 0, "NumberType": "pager", "Color": "red"}')
    problems = refused.value.errors_by_key
    assert set(problems) == {"FromNumber", "SegmentsPerSecond", "NumberType", "Color"}
    assert all(sentence.startswith("S: ") for sentence in problems.values())
    assert all(f'"{key}"' in sentence for key, sentence in problems.items())


def test_a_key_that_stands_twice_is_refused_since_nobody_knows_which_counts() -> None:
    with pytest.raises(SettingError, match='the key "FromNumber" stands there twice'):
        SENDER.parse("S", '{"FromNumber": "+12025550100", "FromNumber": "+12025550101"}')


@pytest.mark.parametrize("number", ["+1202555010", "+120255501000", "+99912345678"])
def test_a_sender_of_the_right_shape_that_no_country_has_is_refused(number: str) -> None:
    with pytest.raises(SettingError, match="must be a possible phone number"):
        SENDER.parse("S", json.dumps({"FromNumber": number}))


@pytest.mark.parametrize("number", ["+15005550001", "+15005550006", "+15005550007", "+15005550008", "+11234567890"])
def test_magic_numbers_and_numbers_of_nobody_are_senders(number: str) -> None:
    assert SENDER.parse("S", json.dumps({"FromNumber": number})) == {"FromNumber": number}


@pytest.mark.parametrize("typed", ["", mask_secret(STORED["AuthToken"])])
def test_a_secret_that_is_empty_or_as_it_is_shown_stays_what_it_was(typed: str) -> None:
    text = json.dumps({"AccountSid": SID, "AuthToken": typed})
    assert CREDENTIALS.parse("S", text, STORED) == {"AccountSid": SID, "AuthToken": STORED["AuthToken"]}


@pytest.mark.parametrize("typed", ["", mask_secret("token-of-others-5678"), MASK])
def test_a_mask_that_is_not_that_of_the_stored_secret_is_no_secret(typed: str) -> None:
    with pytest.raises(SettingError, match='"AuthToken"'):
        CREDENTIALS.parse("S", json.dumps({"AccountSid": SID, "AuthToken": typed}), {"AccountSid": SID})


def test_what_is_shown_can_be_saved_again_and_changes_nothing() -> None:
    assert CREDENTIALS.parse("S", json.dumps(CREDENTIALS.masked_values(STORED)), STORED) == STORED


def test_history_says_that_a_secret_changed_and_nothing_of_it() -> None:
    after = {**STORED, "AuthToken": "token-of-after-5678", "ApiKeySid": "SK" + "2" * 32}
    assert CREDENTIALS.masked_for_history(after, STORED) == {
        "AccountSid": SID,
        "AuthToken": "changed",
        "ApiKeySid": "SK" + "2" * 32,
        "ApiKeySecret": MASK,
    }


def test_what_stands_under_an_unknown_key_may_be_a_secret_and_is_not_shown() -> None:
    told = [
        CREDENTIALS.masked_values({"Password": "canary-1234"}),
        CREDENTIALS.masked_for_history({"Password": "canary-1234"}, {}),
    ]
    assert "canary" not in json.dumps(told)
    assert "canary" not in str(CREDENTIALS.without_secrets('{"authToken": "canary-1234"}'))


def test_what_was_typed_comes_back_without_its_secrets() -> None:
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
def test_a_form_keeps_secrets_left_empty_and_drops_the_key_with_its_secret(fields: Any, value: Any) -> None:
    assert CREDENTIALS.parse_form(fields, STORED) == value


def test_a_form_with_nothing_stored_says_nothing_of_what_is_empty() -> None:
    fields = {"AccountSid": SID, "AuthToken": "", "ApiKeySid": "", "ApiKeySecret": ""}
    assert CREDENTIALS.parse_form(fields, {}) == {"AccountSid": SID}


@pytest.mark.parametrize(
    ("typed", "value"),
    [("3", 3), ("0.5", 0.5), ("100.0", 100.0), ("1,5", "1,5"), ("1,000", "1,000"), ("1e3", "1e3"), ("nan", "nan")],
)
def test_a_number_in_a_form_is_a_number_or_stays_what_was_typed(typed: str, value: Any) -> None:
    fields = {"FromNumber": "+12025550100", "SegmentsPerSecond": typed, "MessagingServiceSid": "", "NumberType": ""}
    assert SENDER.parse_form(fields, {}) == {"FromNumber": "+12025550100", "SegmentsPerSecond": value}


def test_an_empty_list_of_words_is_a_choice_and_none_leaves_the_default() -> None:
    assert SENDER.parse_form({"FromNumber": "12345", "TwilioAnswers": []}, {})["TwilioAnswers"] == []
    assert "TwilioAnswers" not in SENDER.parse_form({"FromNumber": "12345"}, {})

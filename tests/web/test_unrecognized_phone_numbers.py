"""Unlisted numbers and vanity numbers are accepted once a person has confirmed their digits."""

import pytest
from flask import Flask
from sqlalchemy import select

from portal.accounts.tables.accounts import find_by_external_id
from portal.accounts.tables.phone_numbers import PhoneNumber, is_stopped
from portal.core.extensions import db
from portal.core.rules.phone import PhoneError, to_e164
from portal.operations import test_messages
from tests.support.html_checks import find_page_problems
from tests.support.page_queries import app_transaction
from tests.support.web_client import NOW_MS, WebClient

FORMS_WITH_CONFIRMATION = [
    ("+1 436 234 5678", "+14362345678", "+1 436-234-5678"),
    ("(436) 234-5678", "+14362345678", "+1 436-234-5678"),
    ("1-800-FLOWERS", "+18003569377", "+1 800-356-9377"),
]
unsure = pytest.mark.parametrize(("typed", "number", "shown"), FORMS_WITH_CONFIRMATION)


def stored_numbers(app: Flask) -> list[str]:
    with app_transaction(app):
        return sorted(set(db.session.scalars(select(PhoneNumber.number))) - {"+12025550101"})


@unsure
def test_form_asks_to_confirm_an_unlisted_number(
    web_app: Flask, number_owner: WebClient, typed: str, number: str, shown: str
) -> None:
    prompt = number_owner.post("/MyAccount/PhoneNumbers", number=typed, label="Mobile")
    assert prompt.status_code == 422
    assert find_page_problems(prompt.text) == []
    assert f'name="confirmed_phone" value="{number}"' in prompt.text
    assert f"<strong>{shown}</strong>" in prompt.text
    assert 'value="Mobile"' in prompt.text
    assert stored_numbers(web_app) == []
    done = number_owner.post("/MyAccount/PhoneNumbers", number=typed, label="Mobile", confirmed_phone=number)
    assert done.status_code == 303
    assert stored_numbers(web_app) == [number]


def test_confirmation_counts_for_that_number_only(web_app: Flask, number_owner: WebClient) -> None:
    response = number_owner.post("/MyAccount/PhoneNumbers", number="+1 436 234 5679", confirmed_phone="+14362345678")
    assert response.status_code == 422
    assert 'value="+14362345679"' in response.text
    assert stored_numbers(web_app) == []


@unsure
def test_manual_opt_out_asks_to_confirm(
    web_app: Flask, admin: WebClient, sms_enabled: None, typed: str, number: str, shown: str
) -> None:
    form = {"number": typed, "channel": "phone", "reason": "Said so <b>."}
    prompt = admin.post("/Admin/Consent/OptOut", **form)
    assert prompt.status_code == 422
    assert find_page_problems(prompt.text) == []
    assert shown in prompt.text
    assert "Said so &lt;b&gt;." in prompt.text
    ends = admin.post("/Admin/Consent/OptOut", **form, confirmed_phone=number)
    assert (ends.status_code, f'name="confirmed" value="{number}"' in ends.text) == (200, True)
    assert admin.post("/Admin/Consent/OptOut", **form | {"number": number}, confirmed=number).status_code == 303
    with web_app.app_context():
        assert is_stopped(number)


@unsure
def test_test_text_asks_to_confirm(
    web_app: Flask, sysadmin: WebClient, sms_enabled: None, typed: str, number: str, shown: str
) -> None:
    page = "/SysAdmin/SmsNotificationsTestHarness/texts"
    prompt = sysadmin.post(page, number=typed, body="Is it there?")
    assert prompt.status_code == 422
    assert f'name="confirmed_phone" value="{number}"' in prompt.text
    assert sysadmin.post(page, number=typed, body="Is it there?", confirmed_phone=number).status_code == 303
    with web_app.app_context():
        sysadmin_account = find_by_external_id("S-1")
        assert sysadmin_account
        assert test_messages.last_number(sysadmin_account.id) == number


@pytest.mark.parametrize(
    "typed",
    [
        "202-555-5OOO",
        "(202) 555 O1OO",
        "I2025550100",
        "l-202-555-0100",
        "2025550I00",
        "call me 2025550100",
        "2025550100 home",
    ],
)
def test_letters_outside_vanity_numbers_are_never_digits(web_app: Flask, number_owner: WebClient, typed: str) -> None:
    prompt = number_owner.post("/MyAccount/PhoneNumbers", number=typed)
    assert prompt.status_code == 422
    assert "confirmed_phone" not in prompt.text
    assert stored_numbers(web_app) == []
    with pytest.raises(PhoneError):
        to_e164(typed, "US", confirmed="+12025550100")


def test_unlisted_number_is_found_in_any_notation(web_app: Flask, admin: WebClient, sms_enabled: None) -> None:
    with app_transaction(web_app):
        account = find_by_external_id("P-1")
        assert account
        db.session.add(PhoneNumber(account_id=account.id, number="+14362345678", created_at_ms=NOW_MS))
    form = {"number": "(436) 234-5678", "channel": "phone", "reason": "Said so.", "confirmed": "+14362345678"}
    assert admin.post("/Admin/Consent/OptOut", **form).status_code == 303
    assert "(436) 234-5678" in admin.get("/Admin/Consent?q=(436)+234-5678").text

"""A number that is in no list, or spelled with letters, is taken once a person has confirmed its digits."""

import pytest
from flask import Flask
from linting import problems_of
from queue_tools import rows
from sqlalchemy import select
from web_people import NOW, Visitor

from portal.actions import harness
from portal.domain.phone import PhoneError, to_e164
from portal.extensions import db
from portal.models.account import by_external_id
from portal.models.phone import PhoneNumber, is_stopped

UNSURE = [
    ("+1 436 234 5678", "+14362345678", "+1 436-234-5678"),
    ("(436) 234-5678", "+14362345678", "+1 436-234-5678"),
    ("1-800-FLOWERS", "+18003569377", "+1 800-356-9377"),
]
unsure = pytest.mark.parametrize(("typed", "number", "shown"), UNSURE)


def added(app: Flask) -> list[str]:
    with rows(app):
        return sorted(set(db.session.scalars(select(PhoneNumber.number))) - {"+12025550101"})


@unsure
def test_a_form_asks_to_confirm_the_number_and_loses_nothing(
    web_app: Flask, owner: Visitor, typed: str, number: str, shown: str
) -> None:
    asked = owner.post("/MyAccount/PhoneNumbers", number=typed, label="Mobile")
    assert asked.status_code == 422
    assert problems_of(asked.text) == []
    assert f'name="confirmed_number" value="{number}"' in asked.text
    assert f"<strong>{shown}</strong>" in asked.text
    assert 'value="Mobile"' in asked.text
    assert added(web_app) == []
    done = owner.post("/MyAccount/PhoneNumbers", number=typed, label="Mobile", confirmed_number=number)
    assert done.status_code == 303
    assert added(web_app) == [number]


def test_what_was_confirmed_is_that_number_and_no_other(web_app: Flask, owner: Visitor) -> None:
    answer = owner.post("/MyAccount/PhoneNumbers", number="+1 436 234 5679", confirmed_number="+14362345678")
    assert answer.status_code == 422
    assert 'value="+14362345679"' in answer.text
    assert added(web_app) == []


@unsure
def test_an_opt_out_by_hand_asks_too(
    web_app: Flask, admin: Visitor, texts_on: None, typed: str, number: str, shown: str
) -> None:
    form = {"number": typed, "how": "phone", "reason": "Said so <b>."}
    asked = admin.post("/Admin/Consent/OptOut", **form)
    assert asked.status_code == 422
    assert problems_of(asked.text) == []
    assert shown in asked.text
    assert "Said so &lt;b&gt;." in asked.text
    ends = admin.post("/Admin/Consent/OptOut", **form, confirmed_number=number)
    assert (ends.status_code, f'name="confirmed" value="{number}"' in ends.text) == (200, True)
    assert admin.post("/Admin/Consent/OptOut", **form | {"number": number}, confirmed=number).status_code == 303
    with web_app.app_context():
        assert is_stopped(number)


@unsure
def test_a_test_text_asks_too(
    web_app: Flask, sysadmin: Visitor, texts_on: None, typed: str, number: str, shown: str
) -> None:
    page = "/SysAdmin/SmsNotificationsTestHarness/texts"
    asked = sysadmin.post(page, number=typed, body="Is it there?")
    assert asked.status_code == 422
    assert f'name="confirmed_number" value="{number}"' in asked.text
    assert sysadmin.post(page, number=typed, body="Is it there?", confirmed_number=number).status_code == 303
    with web_app.app_context():
        sysadmin_account = by_external_id("S-1")
        assert sysadmin_account
        assert harness.last_number(sysadmin_account.id) == number


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
def test_letters_that_spell_nothing_are_never_digits(web_app: Flask, owner: Visitor, typed: str) -> None:
    asked = owner.post("/MyAccount/PhoneNumbers", number=typed)
    assert asked.status_code == 422
    assert "confirmed_number" not in asked.text
    assert added(web_app) == []
    with pytest.raises(PhoneError):
        to_e164(typed, "US", confirmed="+12025550100")


def test_a_number_in_no_list_that_is_on_an_account_is_found_however_it_is_written(
    web_app: Flask, admin: Visitor, texts_on: None
) -> None:
    with rows(web_app):
        account = by_external_id("P-1")
        assert account
        db.session.add(PhoneNumber(account_id=account.id, number="+14362345678", created_at_ms=NOW))
    form = {"number": "(436) 234-5678", "how": "phone", "reason": "Said so.", "confirmed": "+14362345678"}
    assert admin.post("/Admin/Consent/OptOut", **form).status_code == 303
    assert "(436) 234-5678" in admin.get("/Admin/Consent?q=(436)+234-5678").text

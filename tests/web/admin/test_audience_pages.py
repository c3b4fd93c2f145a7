"""Audiences in the browser: conditions, saved audiences, counts and the people behind them."""

import io
import json
import re
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from sqlalchemy import select

from portal.accounts.tables.accounts import Account
from portal.accounts.tables.attributes import Attribute
from portal.content.tables.templates import Template, TemplateVersion
from portal.core.extensions import db
from portal.sends.tables.saved_audiences import SavedAudience
from portal.sends.tables.sends import Send
from tests.sends import audience_people as population
from tests.support.html_checks import find_page_problems
from tests.support.page_queries import app_transaction, audit_entries, visible_text
from tests.support.web_client import NOW_MS, PUBLIC_URL, WebClient

PATH = "/Admin/Audiences"
ZONE = {"conditions-0-field": "timezone", "conditions-0-operator": "is", "conditions-0-value": "America/New_York"}
CONDITIONS = {"audience_type": "conditions", "match": "all", **ZONE}
_SEND_NAMES = select(Send.id, Template.name).join(Send.version).join(TemplateVersion.template)
pytestmark = pytest.mark.usefixtures("sent_communications")


def sent_audience(app: Flask) -> Any:
    with app.app_context():
        return db.session.scalars(select(Send.audience).order_by(Send.id.desc()).limit(1)).one()


def confirm_and_send(admin: WebClient, **fields: str) -> None:
    page = admin.post("/Admin/Sends/confirm", template="notice", **fields).text
    hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page.partition("<main")[2])
    values = {name: value.replace("&#34;", '"') for name, value in hidden if name != "csrf_token"}
    assert admin.post("/Admin/Sends", **values).status_code == 303


def count_of(admin: WebClient, **fields: str) -> str:
    return visible_text(admin.post(f"{PATH}/count", **fields).text)


def people_page(admin: WebClient, audience: Any) -> str:
    return admin.get(f"{PATH}/people?audience={quote(json.dumps(audience))}").text


def row_count(page: str) -> int:
    return len(re.findall(r'name="conditions-\d+-field"', page))


def test_send_goes_to_everyone_without_administrators_by_default(web_app: Flask, admin: WebClient) -> None:
    confirm_and_send(admin, audience_type="all")
    assert sent_audience(web_app) == {"all": True, "staff": False}
    confirm_and_send(admin, audience_type="all", include_staff="1")
    assert sent_audience(web_app) == {"all": True}


def test_administrator_named_by_account_number_gets_the_message(admin: WebClient) -> None:
    page = admin.post("/Admin/Sends/confirm", template="notice", audience_type="external_ids", external_ids="A-1").text
    assert "Send 1 email<" in page


def test_conditions_go_through_the_confirmation_to_the_send(web_app: Flask, admin: WebClient) -> None:
    page = visible_text(admin.post("/Admin/Sends/confirm", template="notice", **CONDITIONS).text)
    assert "All of: Time zone: America/New_York. Administrators are left out." in page
    confirm_and_send(admin, **CONDITIONS)
    stored = sent_audience(web_app)
    assert stored.pop("as_of")
    assert stored == {
        "conditions": [{"field": "timezone", "operator": "is", "value": "America/New_York"}],
        "match": "all",
        "staff": False,
        "external_ids": [],
    }


def test_conditions_are_kept_when_the_send_is_changed(admin: WebClient) -> None:
    rows = json.dumps([{"field": "timezone", "operator": "is", "value": "America/New_York"}])
    page = admin.post("/Admin/Sends/new", template="notice", audience_type="conditions", conditions=rows).text
    assert re.search(r'<option value="timezone" selected>', page)
    assert re.search(r'<option value="America/New_York" selected>', page)


@pytest.mark.parametrize("conditions", ["{", '"x"', "[1, []]", '[{"field": ["x"], "value": {"a": 1}}]', "[{}]"])
def test_conditions_made_by_hand_are_refused(admin: WebClient, conditions: str) -> None:
    response = admin.post("/Admin/Sends/confirm", template="notice", audience_type="conditions", conditions=conditions)
    assert response.status_code == 422


def test_incomplete_condition_is_named_at_its_row(admin: WebClient) -> None:
    fields = {**CONDITIONS, "conditions-0-value": ""}
    response = admin.post("/Admin/Sends/confirm", template="notice", **fields)
    assert response.status_code == 422
    assert 'id="conditions-0-value-error">Time zone: enter or choose a value.' in response.text
    assert find_page_problems(response.text) == []


def test_attribute_can_be_asked_about(web_app: Flask, admin: WebClient) -> None:
    with app_transaction(web_app):
        attribute = Attribute(key="checked_on", label="Checked on", kind="date", created_at_ms=NOW_MS)
        db.session.add(attribute)
        db.session.flush()
        owner = db.session.scalars(select(Account).where(Account.external_id == "P-1")).one()
        population.set_attribute(owner.id, attribute.id, "date", "2027-03-31")
    field = {"audience_type": "conditions", "conditions-0-field": "attribute.checked_on"}
    page = admin.post(f"{PATH}/form", **field).text
    assert re.search(r'<input id="conditions-0-value" name="conditions-0-value" type="date"', page)
    typed = {**field, "conditions-0-operator": "before", "conditions-0-value": "2027-04-01"}
    assert count_of(admin, **typed).startswith("1 person")
    assert count_of(admin, **{**typed, "conditions-0-value": "2027-02-30"}).startswith("Complete the choice")


def test_conditions_on_texts_are_offered_while_texts_are_on(admin: WebClient, request: pytest.FixtureRequest) -> None:
    assert '<option value="sms_state"' not in admin.get(f"{PATH}/new").text
    request.getfixturevalue("sms_enabled")
    assert '<option value="sms_state"' in admin.get(f"{PATH}/new").text


def test_rows_of_conditions_are_added_and_removed_without_javascript(admin: WebClient) -> None:
    added = admin.post(f"{PATH}/form", name="Near", add_condition="1", **CONDITIONS).text
    assert row_count(added) == 2
    assert 'value="Near"' in added
    second = {"conditions-1-field": "sms_state", "conditions-1-operator": "is", "conditions-1-value": "stopped"}
    removed = admin.post(f"{PATH}/form", remove_condition="0", **CONDITIONS, **second).text
    assert row_count(removed) == 1
    assert re.search(r'<option value="stopped" selected>', removed)


@pytest.mark.parametrize(
    ("fields", "count"),
    [
        ({"audience_type": "all"}, "4 people"),
        ({"audience_type": "all", "include_staff": "1"}, "6 people"),
        ({"audience_type": "account_type", "account_type": "Practitioner"}, "4 people"),
        (CONDITIONS, "4 people"),
        ({"audience_type": "saved_audience", "saved_audience": "1"}, "6 people"),
        ({"audience_type": "saved_audience", "saved_audience": "x"}, "Complete the choice"),
        ({"audience_type": "external_ids", "external_ids": "p-1 P-2"}, "2 people"),
        ({"audience_type": "external_ids", "external_ids": "P-1 P-99"}, "Complete the choice"),
        ({"audience_type": "external_ids", "external_ids": " ".join(map(str, range(20_001)))}, "Complete the choice"),
        ({}, "Complete the choice"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_people_are_counted_while_the_audience_is_chosen(admin: WebClient, fields: dict[str, str], count: str) -> None:
    assert count_of(admin, **fields).startswith(count)


def test_people_behind_a_count_can_be_opened(admin: WebClient) -> None:
    link = re.search(r'href="(/Admin/Audiences/people\?[^"]+)"', admin.post(f"{PATH}/count", **CONDITIONS).text)
    assert link
    page = admin.get(link[1].replace("&amp;", "&")).text
    assert "Olive Owner" in page
    assert "admin@example.org" not in page.partition("<main")[2]
    assert "4 people" in page


def test_people_are_listed_page_by_page(web_app: Flask, admin: WebClient) -> None:
    with app_transaction(web_app):
        for number in range(60):
            population.add_account(f"Q-{number:02}", account_type="Crowd", timezone="UTC")
    first = people_page(admin, {"account_type": "Crowd"})
    link = re.search(r'href="([^"]+)" rel="next"', first)
    assert link
    second = admin.get(link[1].replace("&amp;", "&")).text
    names = [re.findall(r">(Q-\d+)</a>", page) for page in (first, second)]
    assert [len(found) for found in names] == [50, 10]
    assert len(set(names[0] + names[1])) == 60


def test_people_of_a_list_too_long_for_an_address_are_listed_page_by_page(web_app: Flask, admin: WebClient) -> None:
    external_ids = [f"Q-{number:02}-{'x' * 40}" for number in range(60)]
    with app_transaction(web_app):
        for external_id in external_ids:
            population.add_account(external_id, account_type="Crowd", timezone="UTC")
    chosen = {"audience_type": "external_ids", "external_ids": "\n".join(external_ids)}
    assert f'formaction="{PATH}/people"' in admin.post(f"{PATH}/count", **chosen).text
    first = admin.post(f"{PATH}/people", **chosen).text
    cursor = re.search(r'name="after" value="(\d+)"', first)
    assert cursor
    second = admin.post(f"{PATH}/people", **chosen, after=cursor[1]).text
    names = [re.findall(r">(Q-[^<]+)</a>", page) for page in (first, second)]
    assert names == [external_ids[:50], external_ids[50:]]
    assert external_ids[0] in second, "the list is not carried on"
    back = re.search(r'name="before" value="(\d+)"', second)
    assert back
    assert re.findall(r">(Q-[^<]+)</a>", admin.post(f"{PATH}/people", **chosen, before=back[1]).text) == names[0]


def test_earlier_send_is_found_by_its_number_or_the_name_of_its_template(web_app: Flask, admin: WebClient) -> None:
    with app_transaction(web_app):
        send_id, name = db.session.execute(_SEND_NAMES).first() or (0, "")
    for typed in (str(send_id), name[1:5].upper()):
        options = admin.get(f"{PATH}/sends?conditions-0-value={quote(typed)}").text
        assert f'<option value="{send_id}"' in options, typed
    assert "<option" not in admin.get(f"{PATH}/sends?conditions-0-value=nothing+like+it").text
    row = {"conditions-0-field": "send", "conditions-0-operator": "not_reached_by", "conditions-0-value": "987"}
    page = admin.post(f"{PATH}/form", audience_type="conditions", match="all", **row).text
    assert 'value="987"' in page, "a number that is not offered is lost"
    assert f'<option value="{send_id}"' in page


@pytest.mark.parametrize(
    "audience",
    [
        {},
        {"saved_audience": 99},
        {"saved_audience": 2**80},
        {"saved_audience": True},
        {"schedule_run": {"a": 1}},
        {"schedule_run": 10**25},
        {"recipient_file": [1]},
        {"round_of": {}, "outcome": "unreached", "until_ms": 1},
        {"round_of": 1, "outcome": "unreached", "until_ms": "x"},
        {"round_of": 1, "outcome": "x", "until_ms": 1},
        {"conditions": [{"field": "attribute.x"}], "match": "all"},
        {"account_type": {"a": 1}},
        {"external_ids": [None]},
        {"all": True, "account_type": "Practitioner"},
    ],
    ids=str,
)
def test_people_of_an_impossible_audience_are_nobody(admin: WebClient, audience: Any) -> None:
    page = people_page(admin, audience)
    assert 'role="alert"' in page
    assert "Olive Owner" not in page


def test_list_that_is_too_long_is_refused_at_the_audience(admin: WebClient) -> None:
    page = admin.post("/Admin/Sends/confirm", template="notice", audience_type="external_ids", external_ids="P-1").text
    hidden = dict(re.findall(r'<input type="hidden" name="(template|form_id|version_id)" value="([^"]*)">', page))
    fields = {**hidden, "audience_type": "external_ids", "external_ids": " ".join(map(str, range(20_001)))}
    response = admin.post("/Admin/Sends", **fields)
    assert response.status_code == 422
    assert "A list can have at most 20,000 account numbers." in visible_text(response.text)


@pytest.mark.parametrize("audience", ["", "x", "[]", "1"])
def test_people_page_without_an_audience_is_404(admin: WebClient, audience: str) -> None:
    assert admin.get(f"{PATH}/people?audience={audience}").status_code == 404


def test_file_of_account_numbers_replaces_what_was_typed(admin: WebClient) -> None:
    fields: dict[str, Any] = {"csrf_token": admin.csrf_token(), "template": "notice", "external_ids": "P-1"}
    files = {"accounts_file": (io.BytesIO(b"\xef\xbb\xbfexternal_id;name\r\nP-2;Stan\r\nV-1;\r\n"), "people.csv")}
    response = admin.client.post(
        "/Admin/Sends/confirm", data=fields | files, base_url=PUBLIC_URL, headers={"Referer": f"{PUBLIC_URL}/"}
    )
    assert "2 chosen accounts: P-2, V-1" in visible_text(response.text)


def test_file_that_is_no_text_is_refused_at_the_audience(admin: WebClient) -> None:
    fields: dict[str, Any] = {"csrf_token": admin.csrf_token(), "template": "notice", "external_ids": "P-1"}
    files = {"accounts_file": (io.BytesIO(b"PK\x03\x04rest"), "people.xlsx")}
    response = admin.client.post(
        "/Admin/Sends/confirm", data=fields | files, base_url=PUBLIC_URL, headers={"Referer": f"{PUBLIC_URL}/"}
    )
    assert response.status_code == 422
    assert "This is a workbook, not a CSV." in response.text
    assert ">\nP-1</textarea>" in response.text


def test_saved_audience_is_created_listed_and_sent_to(web_app: Flask, admin: WebClient) -> None:
    assert admin.post(f"{PATH}/new", name="New Yorkers", **CONDITIONS).status_code == 303
    listing = visible_text(admin.get(PATH).text)
    assert "New Yorkers All of: Time zone: America/New_York. Administrators are left out. 4" in listing
    choice = {"audience_type": "saved_audience", "saved_audience": "2"}
    page = visible_text(admin.post("/Admin/Sends/confirm", template="notice", **choice).text)
    assert "The saved audience “New Yorkers”" in page
    confirm_and_send(admin, **choice)
    assert sent_audience(web_app)["conditions"][0]["field"] == "timezone"


def test_saved_audience_without_a_name_keeps_what_was_typed(admin: WebClient) -> None:
    response = admin.post(f"{PATH}/new", **CONDITIONS)
    assert response.status_code == 422
    assert "Enter a name." in response.text
    assert re.search(r'<option value="America/New_York" selected>', response.text)


def test_second_editor_is_told_and_keeps_what_was_typed(web_app: Flask, admin: WebClient) -> None:
    first = {"base_version": "1", "audience_id": "1", "name": "First", "audience_type": "all"}
    assert admin.post(f"{PATH}/1", **first).status_code == 303
    response = admin.post(f"{PATH}/1", **{**first, "name": "Second"})
    assert response.status_code == 422
    page = visible_text(response.text)
    assert "Somebody changed this audience while you were editing." in page
    assert "Saved as “First”: Everyone, without administrators" in page
    assert 'value="Second"' in response.text
    assert find_page_problems(response.text) == []
    version = re.search(r'name="base_version" value="(\d+)"', response.text)
    assert version
    assert admin.post(f"{PATH}/1", **{**first, "name": "Second", "base_version": version[1]}).status_code == 303
    with web_app.app_context():
        assert db.session.get_one(SavedAudience, 1).name == "Second"


def test_archived_audience_is_offered_no_more(web_app: Flask, admin: WebClient) -> None:
    assert admin.post(f"{PATH}/1/archive").status_code == 303
    assert "There are no saved audiences yet." in admin.get(PATH).text
    page = admin.get(f"{PATH}/1").text
    assert "Archived as “P-1”" in page
    assert "Save the audience" not in page
    assert '<option value="1"' not in admin.get("/Admin/Sends/new?template=notice").text.partition("saved_audience")[2]
    assert audit_entries(web_app)[-1] == ("audience_archived", "audience P-1")


def test_edit_of_an_audience_archived_meanwhile_becomes_a_new_one(web_app: Flask, admin: WebClient) -> None:
    admin.post(f"{PATH}/1/archive")
    response = admin.post(f"{PATH}/1", base_version="1", audience_id="1", name="Mine", audience_type="all")
    assert response.status_code == 422
    assert "This audience is archived. Saving makes a new one." in response.text
    assert 'value="Mine"' in response.text
    assert f'action="{PATH}/new"' in response.text


def test_audience_in_use_stays(web_app: Flask, admin: WebClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portal.web.admin.sends.audience_pages.audience_uses", lambda _id: ["the schedule “Renewals”"])
    admin.post(f"{PATH}/1/archive")
    assert "This audience is in use: the schedule “Renewals”." in admin.get(f"{PATH}/1").text


def test_condition_on_a_removed_attribute_is_told_and_can_be_removed(web_app: Flask, admin: WebClient) -> None:
    gone = {"field": "attribute.gone", "operator": "is", "value": "x"}
    with app_transaction(web_app):
        db.session.get_one(SavedAudience, 1).definition = {"conditions": [gone], "match": "all"}
    assert "gone: x" in visible_text(admin.get(PATH).text)
    response = admin.post(
        f"{PATH}/1",
        base_version="1",
        audience_id="1",
        name="Gone",
        audience_type="conditions",
        conditions=json.dumps([gone]),
    )
    assert response.status_code == 422
    assert "There is no field “gone” any more. Remove its condition or choose another field." in response.text
    assert '<option value="attribute.gone" selected>attribute.gone</option>' in response.text

"""Attributes in the browser: declared on a page, filled in on the account profile, offered by the template editor."""

import re

import pytest
from flask import Flask

from tests.support import scenario
from tests.support.page_queries import audit_entries, visible_text
from tests.support.web_client import WebClient

URL, ACCOUNT, TEMPLATES = "/Admin/Attributes", "/Admin/Accounts/1", "/Admin/Automations/Templates"
REGION = {"label": "Region", "key": "region", "kind": "choice", "choices": "North\r\nSouth\r\n"}
DRAFT = {"key": "fee", "name": "Fee", "subject": "For {{ region }}", "body": "Hello", "priority": "normal"}
FIELD = re.compile(r'<input type="hidden" name="(base\w*|values)" value="([^"]*)">')


@pytest.fixture
def region(admin: WebClient) -> str:
    """The address of an attribute."""
    admin.post(f"{URL}/new", **REGION)
    return f"{URL}/1"


def hidden_fields(admin: WebClient, address: str) -> dict[str, str]:
    return {name: value.replace("&#34;", '"') for name, value in FIELD.findall(admin.get(address).text)}


def save(admin: WebClient, address: str, **changes: str) -> str:
    """Send the form as the browser shows it, with changes; the words of the page that follows."""
    response = admin.post(address, **hidden_fields(admin, address) | changes)
    return visible_text(response.text if response.status_code == 422 else admin.get(response.headers["Location"]).text)


def test_empty_list_tells_what_an_attribute_is(admin: WebClient) -> None:
    assert "There are no attributes yet." in admin.get(URL).text


def test_declared_attribute_is_listed(admin: WebClient, region: str) -> None:
    page = visible_text(admin.get(URL).text)
    assert "Attribute “Region” is added." in page
    assert "Region region Choice 0" in page


def test_refused_attribute_keeps_what_was_typed(admin: WebClient) -> None:
    response = admin.post(f"{URL}/new", label="Family name", key="name", kind="text", choices="")
    assert response.status_code == 422
    assert "“name” has a meaning in templates or imports already." in response.text
    assert 'value="Family name"' in response.text


def test_label_is_changed(admin: WebClient, region: str) -> None:
    assert "Attribute “Office” is saved." in save(admin, region, **REGION | {"label": "Office"})


def test_second_of_two_editors_is_told_and_loses_nothing(admin: WebClient, region: str) -> None:
    opened = hidden_fields(admin, region)
    save(admin, region, **REGION | {"label": "Office"})
    response = admin.post(region, **opened | REGION | {"label": "Area"})
    assert response.status_code == 422
    assert "Somebody changed this attribute while you were editing." in response.text
    assert 'value="Area"' in response.text
    again = {name: value.replace("&#34;", '"') for name, value in FIELD.findall(response.text)}
    assert admin.post(region, **again | REGION | {"label": "Area"}).status_code == 303


def test_edit_of_a_removed_attribute_can_be_added_again(admin: WebClient, region: str) -> None:
    opened = hidden_fields(admin, region)
    save(admin, f"{region}/remove")
    response = admin.post(region, **opened | REGION)
    assert response.status_code == 422
    assert "Somebody removed this attribute in the meantime." in response.text
    assert f'action="{URL}/new"' in response.text
    assert 'value="Region"' in response.text


def test_kind_is_fixed_once_an_account_has_a_value(admin: WebClient, region: str) -> None:
    save(admin, f"{ACCOUNT}/Edit", value_region="North")
    assert "1 account has a value, so the kind cannot change." in visible_text(admin.get(region).text)
    assert "so the kind cannot change" in save(admin, region, **REGION | {"kind": "text"})


def test_choice_in_use_is_refused_at_its_field(admin: WebClient, region: str) -> None:
    save(admin, f"{ACCOUNT}/Edit", value_region="North")
    page = save(admin, region, **REGION | {"choices": "South"})
    assert "“North” is in use, so it cannot go: 1 account." in page


def test_attribute_in_use_shows_its_uses_instead_of_a_button(admin: WebClient, region: str) -> None:
    admin.post(f"{TEMPLATES}/new", **DRAFT)
    page = admin.get(f"{region}/remove").text
    assert f'<a href="{TEMPLATES}/1">template “Fee”</a>' in page
    assert "Remove the attribute" not in page
    assert admin.post(f"{region}/remove", values="0").status_code == 422


def test_removal_says_how_many_values_go(admin: WebClient, region: str) -> None:
    save(admin, f"{ACCOUNT}/Edit", value_region="North")
    assert "1 account loses its value." in visible_text(admin.get(f"{region}/remove").text)
    assert "Attribute “Region” is removed." in save(admin, f"{region}/remove")


def test_value_that_came_after_the_question_is_asked_about(admin: WebClient, region: str) -> None:
    question = hidden_fields(admin, f"{region}/remove")
    save(admin, f"{ACCOUNT}/Edit", value_region="North")
    response = admin.post(f"{region}/remove", **question)
    assert response.status_code == 422
    assert "Confirm the removal again." in response.text


def test_profile_shows_the_values_of_the_account(web_app: Flask, admin: WebClient) -> None:
    with web_app.app_context():
        scenario.add_attributes()
    page = visible_text(admin.get(ACCOUNT).text)
    assert "Credits 12 Expires on May 28, 2027 Note An old friend Region North" in page
    assert "Note No value" in visible_text(admin.get("/Admin/Accounts/2").text)


def test_change_of_a_value_is_in_the_audit_log(web_app: Flask, admin: WebClient, region: str) -> None:
    save(admin, f"{ACCOUNT}/Edit", value_region="North")
    assert audit_entries(web_app)[-1] == ("attribute_set", "account P-1")


def test_wrong_value_is_refused_and_kept(web_app: Flask, admin: WebClient) -> None:
    with web_app.app_context():
        scenario.add_attributes()
    response = admin.post(f"{ACCOUNT}/Edit", value_credits="many", base_credits="12")
    assert response.status_code == 422
    assert "“many” is not a number." in response.text
    assert 'value="many"' in response.text


def test_second_change_of_a_value_is_told_and_can_be_saved_again(admin: WebClient, region: str) -> None:
    opened = hidden_fields(admin, f"{ACCOUNT}/Edit")
    save(admin, f"{ACCOUNT}/Edit", value_region="South")
    response = admin.post(f"{ACCOUNT}/Edit", value_region="North", **opened)
    assert response.status_code == 422
    assert "Somebody changed this to “South” in the meantime." in response.text
    again = dict(FIELD.findall(response.text))
    assert admin.post(f"{ACCOUNT}/Edit", value_region="North", **again).status_code == 303


def test_editor_offers_each_merge_field_with_an_example(web_app: Flask, admin: WebClient) -> None:
    with web_app.app_context():
        scenario.add_attributes()
    location = admin.post(f"{TEMPLATES}/new", **DRAFT | {"body": "{{ data.fee }}"}).headers["Location"]
    page = admin.get(location).text
    assert 'data-field="{{ expires_on | date }}" title="May 28, 2027">Expires on</button>' in page
    assert 'data-field="{{ data.fee }}" title="[fee]">fee</button>' in page
    assert "<code>{{ name }}</code>" in page


def test_list_of_sends_shows_a_placeholder_for_an_attribute(web_app: Flask, admin: WebClient, region: str) -> None:
    admin.post(f"{TEMPLATES}/new", **DRAFT)
    with web_app.app_context():
        scenario.create_expanded_send("fee")
    assert "For [region]" in admin.get("/Admin/Sends").text

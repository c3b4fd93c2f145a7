"""What every form does with input that no browser sends from the page, and with rejected input."""

import io

from flask import Flask

from portal.accounts import password_reset
from portal.accounts.tables.accounts import find_by_external_id
from tests.support.web_client import PUBLIC_URL, WebClient

TIME_ZONE = "/MyAccount/TimeZone"


def test_json_body_is_not_a_form(number_owner: WebClient) -> None:
    headers = {"X-CSRFToken": number_owner.csrf_token(), "Referer": f"{PUBLIC_URL}/"}
    for body in ({"timezone": ["Asia/Tokyo"]}, ["timezone"]):
        response = number_owner.client.post(TIME_ZONE, json=body, base_url=PUBLIC_URL, headers=headers)
        assert response.status_code == 422


def test_missing_field_does_not_keep_the_present_value(number_owner: WebClient) -> None:
    assert number_owner.post(TIME_ZONE).status_code == 422


def test_file_in_place_of_text_counts_as_missing(number_owner: WebClient) -> None:
    fields = {"csrf_token": number_owner.csrf_token(), "timezone": (io.BytesIO(b"UTC"), "zone.txt")}
    response = number_owner.client.post(
        TIME_ZONE, data=fields, base_url=PUBLIC_URL, headers={"Referer": f"{PUBLIC_URL}/"}
    )
    assert response.status_code == 422


def test_send_without_an_audience_goes_to_nobody(admin: WebClient, sent_communications: dict[str, int]) -> None:
    for path in ("/Admin/Sends/confirm", "/Admin/Sends"):
        response = admin.post(path, template="notice", version_id="1")
        assert response.status_code == 422
        assert (
            "Choose everyone, an account type, conditions, a saved audience, or individual accounts." in response.text
        )


def test_rejected_label_is_kept_with_its_error(number_owner: WebClient) -> None:
    path, label = "/MyAccount/PhoneNumbers", "x" * 41
    number_owner.post(path, number="(202) 555-0142")
    response = number_owner.post(f"{path}/1/label", label=label)
    assert response.status_code == 422
    assert f'value="{label}"' in response.text
    assert "Keep the label to 40 characters; this one has 41." in response.text


def test_password_is_never_written_into_the_page(web_app: Flask, visitor: WebClient) -> None:
    with web_app.app_context():
        account = find_by_external_id("P-1")
        assert account
        path = f"/ForgotPassword/{password_reset.reset_token(account)}"
    page = visitor.post(path, password="a-secret-to-come", password_confirm="another").text
    assert "The two passwords do not match." in page
    assert "a-secret-to-come" not in page

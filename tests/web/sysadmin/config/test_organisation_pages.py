"""The Organization page: name, color and logo; every kind of input that is refused, and what stays typed."""

import re
from io import BytesIO

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from portal.core.organisation import Organisation, current_organisation
from tests.support.html_checks import find_page_problems
from tests.support.logo_images import png
from tests.support.page_queries import visible_text
from tests.support.web_client import PUBLIC_URL, WebClient

PAGE = "/SysAdmin/AppConfig/Organization"
LOGO = f"{PAGE}/Logo"


def stored(app: Flask) -> Organisation:
    with app.app_context():
        return current_organisation()


def upload(person: WebClient, content: bytes, name: str = "logo.png") -> TestResponse:
    data = {"csrf_token": person.csrf_token(), "logo": (BytesIO(content), name)}
    headers = {"Referer": f"{PUBLIC_URL}{PAGE}"}
    return person.client.post(LOGO, data=data, base_url=PUBLIC_URL, headers=headers)


def save(person: WebClient, **fields: str) -> TestResponse:
    base = re.search(r'name="base_ms" value="(\d+)"', person.get(PAGE).text)
    assert base
    return person.post(PAGE, **{"name": "", "accent_color": "", "base_ms": base[1], **fields})


def test_page_is_valid_with_and_without_values(sysadmin: WebClient) -> None:
    assert find_page_problems(sysadmin.get(PAGE).text) == []
    save(sysadmin, name="Board & Sons <Ltd>", accent_color="#5b2c83")
    upload(sysadmin, png())
    assert find_page_problems(sysadmin.get(PAGE).text) == []


@pytest.mark.parametrize("address", [PAGE, LOGO, f"{LOGO}/Remove"])
def test_only_sysadmins_can_change_the_organization(
    web_app: Flask, number_owner: WebClient, admin: WebClient, address: str
) -> None:
    for person in (number_owner, admin):
        assert person.get(PAGE).status_code == person.get(f"{PAGE}/Preview").status_code == 404
        assert person.post(address, name="Mine", base_ms="0").status_code == 404
    assert stored(web_app).saved_name == ""


def test_saved_values_are_used_and_shown(web_app: Flask, sysadmin: WebClient) -> None:
    assert save(sysadmin, name="Board of Rivers", accent_color=" 5B2C83 ").status_code == 303
    assert (stored(web_app).name, stored(web_app).accent_color) == ("Board of Rivers", "#5b2c83")
    page = sysadmin.get(PAGE).text
    assert 'value="Board of Rivers"' in page
    assert 'value="#5b2c83"' in page
    assert "Dark: #9e83b6, contrast 4.6:1" in visible_text(page)
    assert "OrganizationAccentColor" in page


def test_page_shows_how_texts_begin_and_warns_of_little_room(web_app: Flask, sysadmin: WebClient) -> None:
    save(sysadmin, name="Медицинская палата Северной области")
    text = visible_text(sysadmin.get(PAGE).text)
    assert "they begin with “Медицинская палата:”" in text
    assert re.search(r"have room for \d+ characters of the subject. Enter a shorter name in texts", text)
    save(sysadmin, name="Board of Engineers", text_name="Engineers’ Board")
    assert stored(web_app).text_name == "Engineers’ Board"
    page = sysadmin.get(PAGE).text
    assert find_page_problems(page) == []
    assert "they begin with “Engineers&#39; Board:”" in page
    assert "of the subject" not in visible_text(page).replace("more of the subject fits", "")
    assert "OrganizationNameInTexts" in page


def test_page_says_where_the_name_comes_from(sysadmin: WebClient) -> None:
    for address in (PAGE, "/SysAdmin/AppConfig"):
        text = visible_text(sysadmin.get(address).text)
        assert "Board of Examples" in text
        assert "from PORTAL_ORGANISATION" in text
    save(sysadmin, name="Board of Rivers")
    assert "from PORTAL_ORGANISATION" not in visible_text(sysadmin.get("/SysAdmin/AppConfig").text)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("name", "x" * 61, "Use 60 characters or fewer. You have used 61."),
        ("text_name", "x" * 21, "Use 20 characters or fewer. You have used 21."),
        ("accent_color", "blue", "Enter the color as # and six digits"),
        ("accent_color", "#ffcc00", "1.4:1, and text needs at least 4.5:1. The nearest color that works is #8a6e00."),
        ("base_ms", "17", "Somebody else changed the organization"),
        ("base_ms", "", "Somebody else changed the organization"),
    ],
)
def test_refused_input_is_explained_and_kept(
    web_app: Flask, sysadmin: WebClient, field: str, value: str, message: str
) -> None:
    fields = {"name": "Board of Rivers", "accent_color": "#5b2c83", field: value}
    response = save(sysadmin, **fields)
    assert response.status_code == 422
    assert message in visible_text(response.text)
    assert find_page_problems(response.text) == []
    assert f'value="{fields["name"]}"' in response.text
    assert f'value="{fields["accent_color"]}"' in response.text
    assert stored(web_app).saved_name == ""


@pytest.mark.parametrize(("name", "is_warned"), [("Board ő", True), ("Board “é”", False)])
def test_name_that_makes_texts_longer_is_pointed_out(sysadmin: WebClient, name: str, is_warned: bool) -> None:
    save(sysadmin, name=name)
    assert ("Texts with the name need more segments" in sysadmin.get(PAGE).text) == is_warned


def test_input_can_be_saved_again_after_a_conflict(web_app: Flask, sysadmin: WebClient) -> None:
    save(sysadmin, name="First")
    page = save(sysadmin, name="Second", base_ms="17").text
    base = re.search(r'name="base_ms" value="(\d+)"', page)
    assert base
    assert save(sysadmin, name="Second", base_ms=base[1]).status_code == 303
    assert stored(web_app).name == "Second"


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (b"", "", "Choose a file."),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>", "logo.png", "SVG files are not accepted"),
        (b"MZ" + bytes(90), "logo.png", "not a PNG, JPEG or WebP image"),
        (png(1300, 90), "logo.png", "1,300 × 90 pixels"),
        (png(padding=210 * 1024), "logo.png", "larger than 200 KB"),
        (png()[:17], "logo.png", "damaged"),
    ],
)
def test_refused_logo_is_explained_at_its_field(
    web_app: Flask, sysadmin: WebClient, content: bytes, name: str, message: str
) -> None:
    response = upload(sysadmin, content, name)
    assert response.status_code == 422
    assert message in visible_text(response.text)
    assert 'id="field-logo-error"' in response.text
    assert stored(web_app).logo is None


def test_huge_upload_is_refused_without_being_read(sysadmin: WebClient) -> None:
    class Unreadable(BytesIO):
        def read(self, *_: object) -> bytes:
            raise AssertionError("the body was read")

    response = sysadmin.client.post(
        LOGO,
        base_url=PUBLIC_URL,
        headers={"Referer": f"{PUBLIC_URL}{PAGE}"},
        content_type="multipart/form-data; boundary=x",
        environ_overrides={"CONTENT_LENGTH": "40000000", "wsgi.input": Unreadable()},
    )
    assert response.status_code == 413
    assert "larger than 200 KB" in visible_text(response.text)
    assert find_page_problems(response.text) == []


def test_huge_upload_of_a_stranger_leads_to_sign_in(visitor: WebClient) -> None:
    headers = {"Referer": f"{PUBLIC_URL}{PAGE}"}
    response = visitor.client.post(
        LOGO, base_url=PUBLIC_URL, headers=headers, environ_overrides={"CONTENT_LENGTH": "40000000"}
    )
    assert response.status_code == 303


def test_logo_keeps_its_type_whatever_its_name_says(web_app: Flask, sysadmin: WebClient) -> None:
    assert upload(sysadmin, png(), "logo.svg").status_code == 303
    assert upload(sysadmin, png(), "../../logo.html").status_code == 303
    logo = stored(web_app).logo
    assert logo
    assert sysadmin.get(f"/organization/logo/{logo.digest}").mimetype == "image/png"


def test_removed_logo_gives_way_to_the_name(web_app: Flask, sysadmin: WebClient) -> None:
    upload(sysadmin, png())
    assert "Remove logo" in sysadmin.get(PAGE).text
    assert sysadmin.post(f"{LOGO}/Remove").status_code == 303
    page = sysadmin.get(PAGE).text
    assert '<a class="brand" href="/">Board of Examples' in re.sub(r">\s+", ">", page)
    assert "Remove logo" not in page


def test_typed_color_is_previewed_in_both_looks(sysadmin: WebClient) -> None:
    good = sysadmin.get(f"{PAGE}/Preview?accent_color=%235b2c83").text
    assert "/organization/accent-5b2c83-" in good
    assert (good.count('data-look="light"'), good.count('data-look="dark"')) == (1, 1)
    assert "The nearest color that works" in sysadmin.get(f"{PAGE}/Preview?accent_color=%23ffcc00").text


def test_history_of_settings_leads_to_the_page(sysadmin: WebClient) -> None:
    save(sysadmin, name="Board of Rivers")
    match = re.search(r'<a href="([^"]+)">OrganizationName</a>', sysadmin.get("/SysAdmin/AppConfig").text)
    assert match
    assert sysadmin.get(match[1]).location == PAGE


def test_changes_are_in_the_audit_log(sysadmin: WebClient) -> None:
    save(sysadmin, name="Board of Rivers")
    text = visible_text(sysadmin.get("/SysAdmin/AuditLog").text)
    assert "Changed OrganizationName" in text
    assert "not set → Board of Rivers" in text

"""Template versions in the browser: an old version can be restored, and nobody's newer work is lost by it."""

from tests.support.web_client import WebClient

URL = "/Admin/Automations/Templates"
DRAFT = {"key": "renewal", "name": "Renewal", "subject": "First subject", "body": "First body", "priority": "normal"}


def saved_twice(admin: WebClient) -> str:
    """The address of a template with two versions."""
    location = admin.post(f"{URL}/new", **DRAFT).headers["Location"]
    admin.post(location, **DRAFT | {"subject": "Second subject", "base_version": "1"})
    return location


def test_older_template_version_is_restored_as_the_newest(admin: WebClient) -> None:
    location = saved_twice(admin)
    page = admin.get(f"{location}/versions/1").text
    assert "Changes if you restore it" in page
    assert "Restore version 1" in page
    assert admin.post(f"{location}/versions/1/restore", base_version="2").status_code == 303
    editor = admin.get(location).text
    assert "Version 1 is restored as version 3" in editor
    assert 'value="First subject"' in editor


def test_restore_does_not_overwrite_a_version_saved_meanwhile(admin: WebClient) -> None:
    location = saved_twice(admin)
    response = admin.post(f"{location}/versions/1/restore", base_version="1")
    assert response.status_code == 422
    assert "Somebody saved another version" in response.text
    assert 'value="Second subject"' in admin.get(location).text


def test_version_in_use_offers_no_restore(admin: WebClient) -> None:
    page = admin.get(f"{saved_twice(admin)}/versions/2").text
    assert "This version is in use." in page
    assert "Restore version" not in page

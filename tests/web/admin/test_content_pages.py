import re

import pytest
from flask import Flask

from portal.content.rules.content_block_checks import BLOCKS, HELP_REPLY, OPT_IN_PROMPT, SIGN_IN_NOTICE, WELCOME_TEXT
from portal.content.tables.content_versions import ContentVersion, block_versions
from portal.core.extensions import db
from tests.support.html_checks import find_page_problems
from tests.support.web_client import WebClient

URL = "/Admin/ContentBlocks"
SMS_TERMS = re.compile(r"\bSMS\b|\btexts?\b|\btexted\b|\bSTOP\b|\bphone\b", re.IGNORECASE)


def save(admin: WebClient, key: str, text: str, base_version: int = 0) -> int:
    return admin.post(f"{URL}/{key}", text=text, base_version=str(base_version)).status_code


def stored_texts(web_app: Flask, key: str) -> list[str]:
    with web_app.app_context():
        return [version.text for version in block_versions(key)]


def page_text(page: str) -> str:
    """The visible text without the navigation and the banner that says that texts are off."""
    page = re.sub(r'<aside id="mode".*?</aside>|<nav.*?</nav>', "", page, flags=re.DOTALL)
    return re.sub(r"<[^>]*>", " ", page)


@pytest.mark.parametrize("key", BLOCKS)
def test_every_block_has_valid_pages(admin: WebClient, sms_enabled: None, key: str) -> None:
    assert save(admin, key, "Words {{ organisation }} **bold** ’") == 303
    for path in ("", f"/{key}", f"/{key}/versions/0", f"/{key}/versions/1"):
        response = admin.get(f"{URL}{path}")
        assert response.status_code == 200
        assert find_page_problems(response.text) == []
        assert BLOCKS[key].name in response.text


def test_menu_links_to_content_blocks(admin: WebClient) -> None:
    assert f'href="{URL}"' in admin.get("/Admin/Accounts").text
    assert 'aria-current="page">Content blocks' in admin.get(URL).text


def test_list_shows_purpose_version_and_author_by_group(admin: WebClient, sms_enabled: None) -> None:
    save(admin, WELCOME_TEXT, "Hello")
    page = page_text(admin.get(URL).text)
    assert page.index("MyAccount") < page.index("SMS Opt-in Confirmation Prompt") < page.index("Reply to STOP")
    assert page.index("Reply to STOP") < page.index("SignIn") < page.index("Sign-in Notice")
    assert "The welcome text, sent immediately after START." in page
    assert "Version 1" in page
    assert "by Name of A-1" in page
    assert page.count("Missing: ") == 11
    assert page.count("Complete") == 13


def test_each_language_of_a_block_is_edited_on_its_own(web_app: Flask, admin: WebClient, sms_enabled: None) -> None:
    spanish = f"{WELCOME_TEXT}.es"
    assert f'href="{URL}/{spanish}"' in admin.get(URL).text
    save(admin, spanish, "Hola")
    assert (stored_texts(web_app, spanish), stored_texts(web_app, WELCOME_TEXT)) == (["Hola"], [])
    page = admin.get(f"{URL}/{spanish}").text
    assert re.search(rf'href="{URL}/{WELCOME_TEXT}" lang="en">English<', page)
    assert re.search(rf'href="{URL}/{spanish}" lang="es" aria-current="page">Español<', page)
    assert "Confirmation Text, Español" in page
    assert "“Responda STOP para cancelar” is enough." in page


def test_page_says_if_only_one_language_was_changed(admin: WebClient, sms_enabled: None) -> None:
    warning = "The wording in Español is still the one supplied with the portal"
    assert warning not in admin.get(f"{URL}/{WELCOME_TEXT}").text
    save(admin, WELCOME_TEXT, "Hello")
    assert warning in admin.get(f"{URL}/{WELCOME_TEXT}").text
    assert warning in admin.get(f"{URL}/{WELCOME_TEXT}.es").text
    assert page_text(admin.get(URL).text).count("The other language was changed.") == 1
    save(admin, SIGN_IN_NOTICE, "Closed")
    assert "no wording in Español yet" in admin.get(f"{URL}/{SIGN_IN_NOTICE}").text


@pytest.mark.parametrize("path", ["", f"/{OPT_IN_PROMPT}", f"/{OPT_IN_PROMPT}/versions/0"])
def test_pages_need_the_admin_role(other_user: WebClient, visitor: WebClient, sms_enabled: None, path: str) -> None:
    assert other_user.get(f"{URL}{path}").status_code == 404
    assert visitor.get(f"{URL}{path}").status_code == 303


@pytest.mark.parametrize("path", ["", "/preview", "/versions/0/restore"])
def test_changes_need_the_admin_role(web_app: Flask, other_user: WebClient, sms_enabled: None, path: str) -> None:
    assert other_user.post(f"{URL}/{WELCOME_TEXT}{path}", text="Mine now", base_version="0").status_code == 404
    assert stored_texts(web_app, WELCOME_TEXT) == []


def test_saving_adds_a_version(admin: WebClient, sms_enabled: None) -> None:
    response = admin.post(f"{URL}/{WELCOME_TEXT}", text="One", base_version="0")
    assert response.location == f"{URL}/{WELCOME_TEXT}"
    page = admin.get(response.location).text
    assert "Version 1 is saved and in use." in page
    assert ">\nOne</textarea>" in page
    assert "Save as version 2" in page


def test_saving_the_current_text_changes_nothing(web_app: Flask, admin: WebClient, sms_enabled: None) -> None:
    save(admin, WELCOME_TEXT, BLOCKS[WELCOME_TEXT].default)
    assert "nothing was changed" in admin.get(f"{URL}/{WELCOME_TEXT}").text
    assert stored_texts(web_app, WELCOME_TEXT) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Hi {{ first_name }}", "there is no merge field “first_name”"),
        ("Hi {% if organisation %}", "“{% endif %}” is missing."),
        ("x" * 500, "it may use 3 segments at most"),
        ("y" * 200_000, "Use 1,600 characters or fewer. You have used 200,000."),
        ("ring \x07", "U+0007"),
    ],
)
def test_error_appears_at_the_field_and_keeps_the_input(
    web_app: Flask, admin: WebClient, sms_enabled: None, text: str, message: str
) -> None:
    response = admin.post(f"{URL}/{WELCOME_TEXT}", text=text, base_version="0")
    assert response.status_code == 422
    assert find_page_problems(response.text) == []
    assert 'aria-invalid="true"' in response.text
    error = re.search(r'id="field-text-error">([^<]*)<', response.text)
    assert error
    assert message in error.group(1)
    assert f">\n{text}</textarea>" in response.text
    assert stored_texts(web_app, WELCOME_TEXT) == []


def test_oversized_form_is_rejected(admin: WebClient, sms_enabled: None) -> None:
    response = admin.post(f"{URL}/{WELCOME_TEXT}", text="x" * 2_000_000, base_version="0")
    assert response.status_code == 413
    assert "Traceback" not in response.text


def test_null_byte_is_removed(web_app: Flask, admin: WebClient, sms_enabled: None) -> None:
    assert save(admin, WELCOME_TEXT, "Hel\x00lo") == 303
    assert stored_texts(web_app, WELCOME_TEXT) == ["Hello"]


@pytest.mark.parametrize(
    "fields", [{}, {"text": "x"}, {"text": "x", "base_version": "9" * 40}, {"text": "x", "base_version": "-1"}]
)
def test_incomplete_form_is_rejected(
    web_app: Flask, admin: WebClient, sms_enabled: None, fields: dict[str, str]
) -> None:
    assert admin.post(f"{URL}/{WELCOME_TEXT}", **fields).status_code == 422
    assert stored_texts(web_app, WELCOME_TEXT) == []


def test_conflicting_save_keeps_the_input(
    web_app: Flask, admin: WebClient, sysadmin: WebClient, sms_enabled: None
) -> None:
    assert save(sysadmin, WELCOME_TEXT, "Theirs") == 303
    response = admin.post(f"{URL}/{WELCOME_TEXT}", text="Mine", base_version="0")
    assert response.status_code == 422
    assert "Somebody saved version 1 while you were editing." in response.text
    assert ">\nMine</textarea>" in response.text
    assert stored_texts(web_app, WELCOME_TEXT) == ["Theirs"]
    base_version = re.search(r'name="base_version" value="(\d+)"', response.text)
    assert base_version
    assert save(admin, WELCOME_TEXT, "Mine", int(base_version.group(1))) == 303
    assert stored_texts(web_app, WELCOME_TEXT) == ["Mine", "Theirs"]


def test_preview_and_errors_keep_the_base_version(admin: WebClient, sysadmin: WebClient, sms_enabled: None) -> None:
    save(sysadmin, WELCOME_TEXT, "Theirs")
    for path, text in (("/preview", "New words"), ("", "{{ wrong }}")):
        page = admin.post(f"{URL}/{WELCOME_TEXT}{path}", text=text, base_version="0").text
        assert 'name="base_version" value="0"' in page


def test_preview_without_javascript_renders_the_whole_page(web_app: Flask, admin: WebClient, sms_enabled: None) -> None:
    response = admin.post(f"{URL}/{OPT_IN_PROMPT}/preview", text="**Bold** words", base_version="0")
    assert response.status_code == 200
    assert find_page_problems(response.text) == []
    assert "<strong>Bold</strong> words" in response.text
    assert ">\n**Bold** words</textarea>" in response.text
    assert stored_texts(web_app, OPT_IN_PROMPT) == []


def test_preview_shows_size_and_missing_points(admin: WebClient, sms_enabled: None) -> None:
    fields = {"csrf_token": admin.csrf_token(), "text": "{{ organisation }}: it’s on ê. [x] Reply STOP to end."}
    page = admin.post_without_token(f"{URL}/{WELCOME_TEXT}/preview", fields, HX_Request="true").text
    assert "<html" not in page
    assert "Board of Examples: it&#39;s on ê. [x] Reply STOP to end." in page
    assert "<kbd>’</kbd> as <kbd>&#39;</kbd>." in page
    assert "characters (UCS-2): 1 segment." in page
    assert "This character makes the text UCS-2: <kbd>ê</kbd>." in page
    assert re.findall("Missing: ([^<]*)<", page) == ["purpose", "frequency", "data rates may apply", "HELP"]
    assert "(30545)" in page


def test_preview_shows_errors(admin: WebClient, sms_enabled: None) -> None:
    fields = {"csrf_token": admin.csrf_token(), "text": "{{ nobody }}"}
    response = admin.post_without_token(f"{URL}/{WELCOME_TEXT}/preview", fields, HX_Request="true")
    assert response.status_code == 200
    assert "there is no merge field “nobody”" in response.text
    assert "Wording check" not in response.text


def test_html_in_a_block_is_escaped(admin: WebClient, visitor: WebClient, sms_enabled: None) -> None:
    save(admin, SIGN_IN_NOTICE, "<script>alert(1)</script> [x](javascript:alert(1)) <ins>")
    for page in (visitor.get("/SignIn").text, admin.get(f"{URL}/{SIGN_IN_NOTICE}/versions/1").text):
        assert find_page_problems(page) == []
        assert 'href="javascript' not in page


def test_version_page_shows_changes(admin: WebClient, sms_enabled: None) -> None:
    save(admin, WELCOME_TEXT, "You get many texts")
    save(admin, WELCOME_TEXT, "You get few texts", 1)
    page = admin.get(f"{URL}/{WELCOME_TEXT}/versions/1").text
    assert "Changes from the default" in page
    assert "Changes if you restore it over version 2" in page
    assert re.search(r"<del>.*?few.*?</del><ins>.*?many.*?</ins>", page)
    assert "[removed: " in page
    newest = admin.get(f"{URL}/{WELCOME_TEXT}/versions/2").text
    assert re.search(r"<del>.*?many.*?</del><ins>.*?few.*?</ins>", newest)
    assert "In use" in newest
    assert "Restore" not in newest


def test_older_version_is_restored(web_app: Flask, admin: WebClient, sms_enabled: None) -> None:
    save(admin, WELCOME_TEXT, "One")
    save(admin, WELCOME_TEXT, "Two", 1)
    assert admin.post(f"{URL}/{WELCOME_TEXT}/versions/1/restore", base_version="2").status_code == 303
    assert stored_texts(web_app, WELCOME_TEXT) == ["One", "Two", "One"]
    assert "Restored from version 1." in page_text(admin.get(f"{URL}/{WELCOME_TEXT}").text)


def test_changed_block_can_be_reset_to_its_default(web_app: Flask, admin: WebClient, sms_enabled: None) -> None:
    assert "Reset to the default" not in admin.get(f"{URL}/{WELCOME_TEXT}").text
    save(admin, WELCOME_TEXT, "One")
    assert "Reset to the default" in admin.get(f"{URL}/{WELCOME_TEXT}").text
    admin.post(f"{URL}/{WELCOME_TEXT}/versions/0/restore", base_version="1")
    assert stored_texts(web_app, WELCOME_TEXT) == [BLOCKS[WELCOME_TEXT].default, "One"]
    page = admin.get(f"{URL}/{WELCOME_TEXT}").text
    assert "Reset to the default" not in page
    assert "Restored from the default." in page_text(page)


def test_conflicting_restore_is_rejected(web_app: Flask, admin: WebClient, sms_enabled: None) -> None:
    save(admin, WELCOME_TEXT, "One")
    save(admin, WELCOME_TEXT, "Two", 1)
    response = admin.post(f"{URL}/{WELCOME_TEXT}/versions/1/restore", base_version="1")
    assert response.status_code == 422
    assert "Somebody saved version 2 in the meantime." in response.text
    assert find_page_problems(response.text) == []
    assert stored_texts(web_app, WELCOME_TEXT) == ["Two", "One"]


def test_invalid_version_is_marked_and_cannot_be_restored(web_app: Flask, admin: WebClient, sms_enabled: None) -> None:
    with web_app.app_context():
        db.session.add(ContentVersion(key=HELP_REPLY, number=1, text="{{ retired }}", created_at_ms=0))
        db.session.commit()
    assert "is not valid" in page_text(admin.get(URL).text)
    save(admin, HELP_REPLY, "New words", 1)
    page = admin.get(f"{URL}/{HELP_REPLY}/versions/1")
    assert page.status_code == 200
    response = admin.post(f"{URL}/{HELP_REPLY}/versions/1/restore", base_version="2")
    assert response.status_code == 422
    assert "This content is no longer valid." in response.text
    assert find_page_problems(response.text) == []


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        f"/{WELCOME_TEXT}/versions/1",
        f"/{WELCOME_TEXT}/versions/{'9' * 18}",
        f"/{WELCOME_TEXT}/versions/{'9' * 5000}",
    ],
)
def test_unknown_block_or_version_is_not_found(admin: WebClient, sms_enabled: None, path: str) -> None:
    assert admin.get(f"{URL}{path}").status_code == 404
    assert admin.post(f"{URL}{path}/restore", base_version="0").status_code == 404


def test_with_texts_off_only_the_sign_in_notice_is_shown(admin: WebClient) -> None:
    listing = admin.get(URL).text
    assert "Sign-in Notice" in listing
    save(admin, SIGN_IN_NOTICE, "Closed on Sunday")
    for path in ("", f"/{SIGN_IN_NOTICE}", f"/{SIGN_IN_NOTICE}/versions/0", f"/{SIGN_IN_NOTICE}/versions/1"):
        page = admin.get(f"{URL}{path}").text
        assert find_page_problems(page) == []
        assert SMS_TERMS.findall(page_text(page)) == []
    assert "Sending number" not in admin.get(f"{URL}/{SIGN_IN_NOTICE}").text


@pytest.mark.parametrize("key", [key for key, block in BLOCKS.items() if block.is_sms])
def test_with_texts_off_sms_blocks_are_not_found(web_app: Flask, admin: WebClient, key: str) -> None:
    assert admin.get(f"{URL}/{key}").status_code == 404
    assert admin.get(f"{URL}/{key}/versions/0").status_code == 404
    for path in ("", "/preview", "/versions/0/restore"):
        assert admin.post(f"{URL}/{key}{path}", text="x", base_version="0").status_code == 404
    assert stored_texts(web_app, key) == []


def test_sign_in_notice_appears_unless_it_is_empty(admin: WebClient, visitor: WebClient) -> None:
    assert "sign-in-notice" not in visitor.get("/SignIn").text
    save(admin, SIGN_IN_NOTICE, "## Closed\n\non **Sunday**, says {{ organisation }}")
    page = visitor.get("/SignIn").text
    assert "<strong>Sunday</strong>, says Board of Examples" in page
    assert find_page_problems(page) == []
    save(admin, SIGN_IN_NOTICE, "", 1)
    assert "sign-in-notice" not in visitor.get("/SignIn").text


def test_editor_warns_about_unsaved_changes(admin: WebClient, sms_enabled: None) -> None:
    page = admin.get(f"{URL}/{OPT_IN_PROMPT}").text
    assert "modules/unsaved.js" in page
    assert re.search(r"<form[^>]*data-unsaved", page)

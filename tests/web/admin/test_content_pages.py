import re

import pytest
from flask import Flask

from portal.content.rules.content_block_checks import BLOCKS, HELP_REPLY, OPT_IN_PROMPT, SIGN_IN_NOTICE, WELCOME_TEXT
from portal.content.tables.content_versions import ContentVersion, block_versions
from portal.core.extensions import db
from tests.support.html_checks import find_page_problems
from tests.support.web_client import WebClient

AT = "/Admin/ContentBlocks"
SMS_WORDS = re.compile(r"\bSMS\b|\btexts?\b|\btexted\b|\bSTOP\b|\bphone\b", re.IGNORECASE)


def save(admin: WebClient, key: str, text: str, base_version: int = 0) -> int:
    return admin.post(f"{AT}/{key}", text=text, base_version=str(base_version)).status_code


def stored_version(web_app: Flask, key: str) -> list[str]:
    with web_app.app_context():
        return [version.text for version in block_versions(key)]


def words(page: str) -> str:
    """What a person reads, without the strip, which tells that texts are off."""
    page = re.sub(r'<aside id="mode".*?</aside>|<nav.*?</nav>', "", page, flags=re.DOTALL)
    return re.sub(r"<[^>]*>", " ", page)


@pytest.mark.parametrize("key", BLOCKS)
def test_every_block_has_its_pages_and_they_are_sound(admin: WebClient, sms_enabled: None, key: str) -> None:
    assert save(admin, key, "Words {{ organisation }} **bold** ’") == 303
    for path in ("", f"/{key}", f"/{key}/versions/0", f"/{key}/versions/1"):
        answer = admin.get(f"{AT}{path}")
        assert answer.status_code == 200
        assert find_page_problems(answer.text) == []
        assert BLOCKS[key].name in answer.text


def test_the_menu_leads_there(admin: WebClient) -> None:
    assert f'href="{AT}"' in admin.get("/Admin/Accounts").text
    assert 'aria-current="page">Content blocks' in admin.get(AT).text


def test_the_list_is_grouped_and_tells_what_each_is_for_and_who_changed_it(admin: WebClient, sms_enabled: None) -> None:
    save(admin, WELCOME_TEXT, "Hello")
    page = words(admin.get(AT).text)
    assert page.index("MyAccount") < page.index("SMS Opt-in Confirmation Prompt") < page.index("Answer to STOP")
    assert page.index("Answer to STOP") < page.index("SignIn") < page.index("Sign-in Notice")
    assert "The welcome text that follows at once after START." in page
    assert "Version 1" in page
    assert "by Name of A-1" in page
    assert page.count("Missing: ") == 6
    assert page.count("Complete") == 5


@pytest.mark.parametrize("path", ["", f"/{OPT_IN_PROMPT}", f"/{OPT_IN_PROMPT}/versions/0"])
def test_a_person_without_the_role_finds_nothing_there(
    other_user: WebClient, visitor: WebClient, sms_enabled: None, path: str
) -> None:
    assert other_user.get(f"{AT}{path}").status_code == 404
    assert visitor.get(f"{AT}{path}").status_code == 303


@pytest.mark.parametrize("path", ["", "/preview", "/versions/0/restore"])
def test_a_person_without_the_role_changes_nothing(
    web_app: Flask, other_user: WebClient, sms_enabled: None, path: str
) -> None:
    assert other_user.post(f"{AT}/{WELCOME_TEXT}{path}", text="Mine now", base_version="0").status_code == 404
    assert stored_version(web_app, WELCOME_TEXT) == []


def test_saving_makes_a_version_and_comes_back_to_it(admin: WebClient, sms_enabled: None) -> None:
    answer = admin.post(f"{AT}/{WELCOME_TEXT}", text="One", base_version="0")
    assert answer.location == f"{AT}/{WELCOME_TEXT}"
    page = admin.get(answer.location).text
    assert "Version 1 is saved and in use." in page
    assert ">\nOne</textarea>" in page
    assert "Save as version 2" in page


def test_saving_the_words_in_use_says_that_nothing_was_changed(
    web_app: Flask, admin: WebClient, sms_enabled: None
) -> None:
    save(admin, WELCOME_TEXT, BLOCKS[WELCOME_TEXT].default)
    assert "nothing was changed" in admin.get(f"{AT}/{WELCOME_TEXT}").text
    assert stored_version(web_app, WELCOME_TEXT) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Hi {{ first_name }}", "there is no merge field “first_name”"),
        ("Hi {% if organisation %}", "“{% endif %}” is missing."),
        ("x" * 500, "a text may take 3 segments"),
        ("y" * 200_000, "Keep it to 1,600 characters; this has 200,000."),
        ("ring \x07", "U+0007"),
    ],
)
def test_a_mistake_is_told_at_the_field_and_what_was_typed_is_kept(
    web_app: Flask, admin: WebClient, sms_enabled: None, text: str, message: str
) -> None:
    answer = admin.post(f"{AT}/{WELCOME_TEXT}", text=text, base_version="0")
    assert answer.status_code == 422
    assert find_page_problems(answer.text) == []
    assert 'aria-invalid="true"' in answer.text
    error = re.search(r'id="field-text-error">([^<]*)<', answer.text)
    assert error
    assert message in error.group(1)
    assert f">\n{text}</textarea>" in answer.text
    assert stored_version(web_app, WELCOME_TEXT) == []


def test_more_than_a_form_may_hold_is_refused_without_a_trace(admin: WebClient, sms_enabled: None) -> None:
    answer = admin.post(f"{AT}/{WELCOME_TEXT}", text="x" * 2_000_000, base_version="0")
    assert answer.status_code == 413
    assert "Traceback" not in answer.text


def test_a_null_byte_is_left_out(web_app: Flask, admin: WebClient, sms_enabled: None) -> None:
    assert save(admin, WELCOME_TEXT, "Hel\x00lo") == 303
    assert stored_version(web_app, WELCOME_TEXT) == ["Hello"]


@pytest.mark.parametrize(
    "fields", [{}, {"text": "x"}, {"text": "x", "base_version": "9" * 40}, {"text": "x", "base_version": "-1"}]
)
def test_a_form_that_is_not_ours_changes_nothing(
    web_app: Flask, admin: WebClient, sms_enabled: None, fields: dict[str, str]
) -> None:
    assert admin.post(f"{AT}/{WELCOME_TEXT}", **fields).status_code == 422
    assert stored_version(web_app, WELCOME_TEXT) == []


def test_whoever_was_overtaken_keeps_the_words_and_may_save_knowingly(
    web_app: Flask, admin: WebClient, sysadmin: WebClient, sms_enabled: None
) -> None:
    assert save(sysadmin, WELCOME_TEXT, "Theirs") == 303
    answer = admin.post(f"{AT}/{WELCOME_TEXT}", text="Mine", base_version="0")
    assert answer.status_code == 422
    assert "Somebody saved version 1 while you were writing." in answer.text
    assert ">\nMine</textarea>" in answer.text
    assert stored_version(web_app, WELCOME_TEXT) == ["Theirs"]
    again = re.search(r'name="base_version" value="(\d+)"', answer.text)
    assert again
    assert save(admin, WELCOME_TEXT, "Mine", int(again.group(1))) == 303
    assert stored_version(web_app, WELCOME_TEXT) == ["Mine", "Theirs"]


def test_neither_preview_nor_mistake_hides_that_somebody_saved_meanwhile(
    admin: WebClient, sysadmin: WebClient, sms_enabled: None
) -> None:
    save(sysadmin, WELCOME_TEXT, "Theirs")
    for path, text in (("/preview", "New words"), ("", "{{ wrong }}")):
        page = admin.post(f"{AT}/{WELCOME_TEXT}{path}", text=text, base_version="0").text
        assert 'name="base_version" value="0"' in page


def test_without_javascript_the_preview_is_the_whole_page_and_nothing_is_saved(
    web_app: Flask, admin: WebClient, sms_enabled: None
) -> None:
    answer = admin.post(f"{AT}/{OPT_IN_PROMPT}/preview", text="**Bold** words", base_version="0")
    assert answer.status_code == 200
    assert find_page_problems(answer.text) == []
    assert "<strong>Bold</strong> words" in answer.text
    assert ">\n**Bold** words</textarea>" in answer.text
    assert stored_version(web_app, OPT_IN_PROMPT) == []


def test_while_writing_the_preview_weighs_the_text_and_names_what_is_missing(
    admin: WebClient, sms_enabled: None
) -> None:
    fields = {"csrf_token": admin.csrf_token(), "text": "{{ organisation }}: it’s on ê. [x] Reply STOP to end."}
    page = admin.post_without_token(f"{AT}/{WELCOME_TEXT}/preview", fields, HX_Request="true").text
    assert "<html" not in page
    assert "Board of Examples: it&#39;s on ê. [x] Reply STOP to end." in page
    assert "<kbd>’</kbd> as <kbd>&#39;</kbd>." in page
    assert "characters (UCS-2): 1 segment." in page
    assert "<kbd>ê</kbd> makes it UCS-2" in page
    assert re.findall("Missing: ([^<]*)<", page) == ["purpose", "frequency", "data rates may apply", "HELP"]
    assert "(30545)" in page


def test_a_mistake_while_writing_is_named_in_the_preview(admin: WebClient, sms_enabled: None) -> None:
    fields = {"csrf_token": admin.csrf_token(), "text": "{{ nobody }}"}
    answer = admin.post_without_token(f"{AT}/{WELCOME_TEXT}/preview", fields, HX_Request="true")
    assert answer.status_code == 200
    assert "there is no merge field “nobody”" in answer.text
    assert "Wording check" not in answer.text


def test_markup_in_a_block_is_words_and_not_markup(admin: WebClient, visitor: WebClient, sms_enabled: None) -> None:
    save(admin, SIGN_IN_NOTICE, "<script>alert(1)</script> [x](javascript:alert(1)) <ins>")
    for page in (visitor.get("/SignIn").text, admin.get(f"{AT}/{SIGN_IN_NOTICE}/versions/1").text):
        assert find_page_problems(page) == []
        assert 'href="javascript' not in page


def test_a_version_shows_what_it_changed_and_what_restoring_would(admin: WebClient, sms_enabled: None) -> None:
    save(admin, WELCOME_TEXT, "You get many texts")
    save(admin, WELCOME_TEXT, "You get few texts", 1)
    page = admin.get(f"{AT}/{WELCOME_TEXT}/versions/1").text
    assert "What it changed from the default" in page
    assert "What it would change in version 2, which is in use" in page
    assert re.search(r"<del>.*?few.*?</del><ins>.*?many.*?</ins>", page)
    assert "[removed: " in page
    newest = admin.get(f"{AT}/{WELCOME_TEXT}/versions/2").text
    assert re.search(r"<del>.*?many.*?</del><ins>.*?few.*?</ins>", newest)
    assert "In use" in newest
    assert "Restore" not in newest


def test_an_older_version_is_restored(web_app: Flask, admin: WebClient, sms_enabled: None) -> None:
    save(admin, WELCOME_TEXT, "One")
    save(admin, WELCOME_TEXT, "Two", 1)
    assert admin.post(f"{AT}/{WELCOME_TEXT}/versions/1/restore", base_version="2").status_code == 303
    assert stored_version(web_app, WELCOME_TEXT) == ["One", "Two", "One"]
    assert "version 1 again" in words(admin.get(f"{AT}/{WELCOME_TEXT}").text)


def test_a_block_is_reset_to_its_default_and_offers_that_only_while_it_differs(
    web_app: Flask, admin: WebClient, sms_enabled: None
) -> None:
    assert "Reset to the default" not in admin.get(f"{AT}/{WELCOME_TEXT}").text
    save(admin, WELCOME_TEXT, "One")
    assert "Reset to the default" in admin.get(f"{AT}/{WELCOME_TEXT}").text
    admin.post(f"{AT}/{WELCOME_TEXT}/versions/0/restore", base_version="1")
    assert stored_version(web_app, WELCOME_TEXT) == [BLOCKS[WELCOME_TEXT].default, "One"]
    page = admin.get(f"{AT}/{WELCOME_TEXT}").text
    assert "Reset to the default" not in page
    assert "the default again" in words(page)


def test_restoring_what_was_overtaken_asks_again(web_app: Flask, admin: WebClient, sms_enabled: None) -> None:
    save(admin, WELCOME_TEXT, "One")
    save(admin, WELCOME_TEXT, "Two", 1)
    answer = admin.post(f"{AT}/{WELCOME_TEXT}/versions/1/restore", base_version="1")
    assert answer.status_code == 422
    assert "Version 2 was saved meanwhile." in answer.text
    assert find_page_problems(answer.text) == []
    assert stored_version(web_app, WELCOME_TEXT) == ["Two", "One"]


def test_words_that_cannot_be_used_any_more_are_shown_as_such_and_not_restored(
    web_app: Flask, admin: WebClient, sms_enabled: None
) -> None:
    with web_app.app_context():
        db.session.add(ContentVersion(key=HELP_REPLY, number=1, text="{{ retired }}", created_at_ms=0))
        db.session.commit()
    assert "cannot be used" in words(admin.get(AT).text)
    save(admin, HELP_REPLY, "New words", 1)
    page = admin.get(f"{AT}/{HELP_REPLY}/versions/1")
    assert page.status_code == 200
    answer = admin.post(f"{AT}/{HELP_REPLY}/versions/1/restore", base_version="2")
    assert answer.status_code == 422
    assert "These words cannot be used any more." in answer.text
    assert find_page_problems(answer.text) == []


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        f"/{WELCOME_TEXT}/versions/1",
        f"/{WELCOME_TEXT}/versions/{'9' * 18}",
        f"/{WELCOME_TEXT}/versions/{'9' * 5000}",
    ],
)
def test_what_never_was_is_not_found(admin: WebClient, sms_enabled: None, path: str) -> None:
    assert admin.get(f"{AT}{path}").status_code == 404
    assert admin.post(f"{AT}{path}/restore", base_version="0").status_code == 404


def test_while_texts_are_off_only_the_notice_is_there_and_no_word_of_them(admin: WebClient) -> None:
    listing = admin.get(AT).text
    assert "Sign-in Notice" in listing
    save(admin, SIGN_IN_NOTICE, "Closed on Sunday")
    for path in ("", f"/{SIGN_IN_NOTICE}", f"/{SIGN_IN_NOTICE}/versions/0", f"/{SIGN_IN_NOTICE}/versions/1"):
        page = admin.get(f"{AT}{path}").text
        assert find_page_problems(page) == []
        assert SMS_WORDS.findall(words(page)) == []
    assert "Sending number" not in admin.get(f"{AT}/{SIGN_IN_NOTICE}").text


@pytest.mark.parametrize("key", [key for key in BLOCKS if key != SIGN_IN_NOTICE])
def test_while_texts_are_off_their_blocks_are_neither_seen_nor_changed(
    web_app: Flask, admin: WebClient, key: str
) -> None:
    assert admin.get(f"{AT}/{key}").status_code == 404
    assert admin.get(f"{AT}/{key}/versions/0").status_code == 404
    for path in ("", "/preview", "/versions/0/restore"):
        assert admin.post(f"{AT}/{key}{path}", text="x", base_version="0").status_code == 404
    assert stored_version(web_app, key) == []


def test_the_notice_stands_on_the_sign_in_page_and_an_empty_one_does_not(admin: WebClient, visitor: WebClient) -> None:
    assert "sign-in-notice" not in visitor.get("/SignIn").text
    save(admin, SIGN_IN_NOTICE, "## Closed\n\non **Sunday**, says {{ organisation }}")
    page = visitor.get("/SignIn").text
    assert "<strong>Sunday</strong>, says Board of Examples" in page
    assert find_page_problems(page) == []
    save(admin, SIGN_IN_NOTICE, "", 1)
    assert "sign-in-notice" not in visitor.get("/SignIn").text


def test_leaving_with_words_unsaved_asks_first(admin: WebClient, sms_enabled: None) -> None:
    page = admin.get(f"{AT}/{OPT_IN_PROMPT}").text
    assert "modules/unsaved.js" in page
    assert re.search(r"<form[^>]*data-unsaved", page)

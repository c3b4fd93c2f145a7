"""The template editor: previews for real people, drafts, comparisons, tags and the archive."""

import re
from urllib.parse import urlencode

import pytest
from flask import Flask

from portal.operations import template_uses
from portal.operations.template_uses import TemplateUse
from tests.support.html_checks import find_page_problems
from tests.support.page_queries import visible_text
from tests.support.web_client import WebClient

URL = "/Admin/Automations/Templates"
DRAFT = {"name": "Renewal", "subject": "Due, {{ name }}", "body": "Pay {{ data.fee }}.", "sms_enabled": "yes"}
HTMX = {"HX_Request": "true"}


@pytest.fixture
def editor(admin: WebClient, sms_enabled: None) -> str:
    """The address of a template."""
    return admin.post(f"{URL}/new", key="renewal", tags="Renewals, Fees", **DRAFT).headers["Location"]


def draft_fields(page: str) -> dict[str, str]:
    """What an editor page says the edit began with."""
    names = ("template_id", "base_version", "draft_saved_ms", "form_id")
    return {
        name: re.findall(rf'name="{name}"[^>]*value="([^"]*)"', page.partition('id="editor"')[2])[0] for name in names
    }


def preview(admin: WebClient, editor: str, **fields: str) -> str:
    own = {"csrf_token": admin.csrf_token(), "template_id": editor.rpartition("/")[2]}
    return admin.post_without_token(f"{URL}/preview", {**own, **DRAFT, **fields}, **HTMX).text


def chosen_recipient(fragment: str) -> str:
    return str(re.findall(r'name="recipient" form="editor" value="(\d*)"', fragment)[0])


def test_preview_follows_the_person_found_by_name(admin: WebClient, editor: str) -> None:
    fragment = preview(admin, editor, step="find", find="olive")
    assert "For <strong>Olive Owner</strong>, P-1." in fragment
    assert "Due, Olive Owner" in fragment
    kept = preview(admin, editor, recipient=chosen_recipient(fragment), subject="Soon, {{ name }}")
    assert "Soon, Olive Owner" in kept
    assert "For a sample person." in preview(admin, editor, recipient="1", step="sample")


def test_several_matches_are_offered_as_a_choice(admin: WebClient, editor: str) -> None:
    fragment = preview(admin, editor, step="find", find="example.org")
    assert "Several people match. Choose one:" in fragment
    choice = re.findall(r'name="choose" value="(\d+)"', fragment)[1]
    assert chosen_recipient(preview(admin, editor, choose=choice)) == choice


def test_search_without_a_match_is_said(admin: WebClient, editor: str) -> None:
    assert "No active account matches “nobody&lt;”." in preview(admin, editor, step="find", find="nobody<")


def test_next_and_previous_person_lead_back_to_the_first(admin: WebClient, editor: str) -> None:
    second = chosen_recipient(preview(admin, editor, recipient="1", step="next"))
    assert second != "1"
    assert chosen_recipient(preview(admin, editor, recipient=second, step="previous")) == "1"


def test_person_with_the_longest_subject_is_chosen(admin: WebClient, editor: str) -> None:
    fragment = preview(admin, editor, step="longest")
    assert chosen_recipient(fragment)
    assert "The subject can be filled in for nobody." in preview(admin, editor, step="longest", subject="{{ nobody }}")


def test_frame_shows_the_email_of_the_person_as_typed(admin: WebClient, editor: str) -> None:
    fields = {**DRAFT, "recipient": "1", "body": "Typed for **{{ name }}**."}
    assert "Typed for <strong>Olive Owner</strong>." in admin.post(f"{URL}/preview/email", **fields).text
    plain = admin.post(f"{URL}/preview/email", email_view="text", **fields).text
    assert "Typed for Olive Owner." in plain
    assert "Pay [fee]." in admin.get(f"{editor}/email?recipient=1").text


def test_enter_in_a_field_does_not_publish(admin: WebClient, editor: str) -> None:
    form = admin.get(editor).text.partition('id="editor"')[2]
    first_button = re.findall(r"<button[^>]*>", form)[0]
    assert f'formaction="{URL}/preview"' in first_button


def test_costly_characters_are_named_with_their_place(admin: WebClient, editor: str) -> None:
    fragment = visible_text(preview(admin, editor, subject="Fee for Łucja", body="x"))
    assert "Ł latin capital letter l with stroke character 9 of the subject" in fragment
    fragment = visible_text(preview(admin, editor, subject="Tu renovación ya está lista", body="x"))
    assert "(GSM-7): 1 segment. Replaced in the text to save space: ó as o , á as a ." in fragment
    assert "UCS-2" not in fragment


def test_straight_quotes_replace_curly_ones_in_the_form(admin: WebClient, editor: str) -> None:
    page = admin.post(f"{URL}/preview", step="straighten", **DRAFT | {"subject": "It’s “due”", "body": "“Now”"}).text
    assert 'value="It&#39;s &#34;due&#34;"' in page
    assert 'data-unsaved="kept"' in page
    assert "Use straight quotes" not in page


def test_invisible_characters_are_named(admin: WebClient, editor: str) -> None:
    fragment = visible_text(preview(admin, editor, body="one\ntw\u200bo"))
    assert "Body has 1 invisible character: zero width space (line 2, column 3)" in fragment


def test_body_of_5_mb_is_refused_at_its_field_and_kept(admin: WebClient, editor: str) -> None:
    response = admin.post(editor, **DRAFT | {"body": "x" * 5_000_000, "base_version": "1"})
    assert response.status_code == 422
    assert "Use 50,000 characters or fewer. You have used 5,000,000." in response.text
    assert "x" * 5_000_000 in response.text


@pytest.mark.parametrize(
    "body",
    ["{% for a in (1..500) %}{% for b in (1..500) %}x{% endfor %}{% endfor %}", "{{" * 20_000, "{% if a %}" * 900],
)
def test_template_that_would_take_too_long_is_refused(admin: WebClient, editor: str, body: str) -> None:
    assert '<p class="notice" data-tone="bad">Body: ' in preview(admin, editor, body=body)


def test_subject_cannot_add_an_email_header(admin: WebClient, editor: str) -> None:
    admin.post(editor, **DRAFT | {"subject": "Due\r\nBcc: all@example.org", "base_version": "1"})
    assert 'value="Due Bcc: all@example.org"' in admin.get(editor).text


def test_saved_draft_is_shown_and_the_published_version_stays_in_use(admin: WebClient, editor: str) -> None:
    fields = draft_fields(admin.get(editor).text)
    assert admin.post(f"{editor}/draft", **fields, **DRAFT | {"subject": "Unfinished {{ x"}).status_code == 303
    page = admin.get(editor).text
    assert "Sends use version 1." in page
    assert "The draft began" not in page
    assert 'value="Unfinished {{ x"' in page
    assert "Due, Jordan" not in page
    assert "Due, {{ name }}" in admin.get(f"{editor}/versions/1").text
    assert ">Draft</span>" in admin.get(URL).text
    assert find_page_problems(page) == []


def test_two_people_who_save_a_draft_lose_nothing(admin: WebClient, sysadmin: WebClient, editor: str) -> None:
    first, second = draft_fields(admin.get(editor).text), draft_fields(sysadmin.get(editor).text)
    admin.post(f"{editor}/draft", **first, **DRAFT | {"subject": "One"})
    late = sysadmin.post(f"{editor}/draft", **second, **DRAFT | {"subject": "Two"})
    assert late.status_code == 422
    assert "Somebody changed the draft while you were editing." in late.text
    assert 'value="Two"' in late.text
    assert sysadmin.post(f"{editor}/draft", **draft_fields(late.text), **DRAFT | {"subject": "Two"}).status_code == 303


def test_draft_warns_when_another_version_was_published(admin: WebClient, editor: str) -> None:
    fields = draft_fields(admin.get(editor).text)
    admin.post(f"{editor}/draft", **fields, **DRAFT | {"subject": "Draft"})
    admin.post(editor, **DRAFT | {"subject": "Second"}, base_version="1")
    page = admin.get(editor).text
    assert "The draft began with version 1: compare it before you publish it." in page
    published = admin.post(editor, **draft_fields(page), **DRAFT | {"subject": "Draft"})
    assert published.status_code == 303
    assert "Discard the draft" not in admin.get(editor).text


def test_discarded_draft_is_gone(admin: WebClient, editor: str) -> None:
    admin.post(f"{editor}/draft", **draft_fields(admin.get(editor).text), **DRAFT | {"subject": "Draft"})
    admin.post(f"{editor}/draft/discard", draft_saved_ms=draft_fields(admin.get(editor).text)["draft_saved_ms"])
    page = admin.get(editor).text
    assert "The draft is discarded." in page
    assert 'value="Due, {{ name }}"' in page


def test_draft_is_sent_to_its_author_once(admin: WebClient, editor: str) -> None:
    fields = {**draft_fields(admin.get(editor).text), **DRAFT}
    assert [admin.post(f"{editor}/draft/send", **fields).status_code for _click in range(2)] == [303, 303]
    page = admin.get(editor).text
    assert "on its way to you by email. No text: No phone number on the account." in page
    assert admin.get("/Admin/Communications").text.count("[Test] Due, ") == 1


def test_invalid_draft_is_saved_but_not_sent(admin: WebClient, editor: str) -> None:
    fields = {**draft_fields(admin.get(editor).text), **DRAFT, "body": "{{ nobody }}"}
    response = admin.post(f"{editor}/draft/send", **fields)
    assert response.status_code == 422
    assert "no merge field “nobody”" in response.text
    assert "[Test]" not in admin.get("/Admin/Communications").text
    assert find_page_problems(response.text) == []


def test_versions_are_compared_side_by_side(admin: WebClient, editor: str) -> None:
    admin.post(editor, **DRAFT | {"subject": "Overdue, {{ name }}"}, base_version="1")
    page = admin.get(f"{editor}/compare").text
    assert "<del>" in page
    assert "<ins>" in page
    assert "Version 2, in use" in page
    assert "1 for 4 people" in page
    assert find_page_problems(page) == []
    assert "Both sides show the same version." in admin.get(f"{editor}/compare?from=2&to=2").text
    for choice in ("3", "draft", "x", "-1"):
        assert admin.get(f"{editor}/compare?from={choice}").status_code == 404


def test_draft_is_compared_with_the_version_in_use(admin: WebClient, editor: str) -> None:
    admin.post(f"{editor}/draft", **draft_fields(admin.get(editor).text), **DRAFT | {"subject": "New {{ words }}"})
    page = admin.get(f"{editor}/compare?from=1&to=draft").text
    assert "[added: New ]" in visible_text(page)
    assert "[added: words ]" in visible_text(page)
    assert "no merge field “words”" in page


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, ["Notice", "Renewal"]),
        ({"q": "renew"}, ["Renewal"]),
        ({"q": "DUE"}, ["Renewal"]),
        ({"tag": "fees"}, ["Renewal"]),
        ({"tag": "fees", "q": "notice"}, []),
        ({"archived": "yes"}, []),
        ({"q": "%"}, []),
    ],
)
def test_list_of_templates_is_filtered(
    admin: WebClient, editor: str, filters: dict[str, str], expected: list[str]
) -> None:
    admin.post(f"{URL}/new", key="notice", name="Notice", subject="Notice", body="Body")
    page = admin.get(f"{URL}?{urlencode(filters)}").text
    assert re.findall(r'<th scope="row"><a[^>]*>([^<]*)</a>', page) == expected
    assert find_page_problems(page) == []


def test_tags_have_counts(admin: WebClient, editor: str) -> None:
    admin.post(f"{URL}/new", key="notice", name="Notice", subject="Notice", body="Body", tags="fees")
    pills = visible_text(re.findall(r'<nav class="tabs".*?</nav>', admin.get(URL).text, re.DOTALL)[0])
    assert pills == "All 2 fees 2 Renewals 1"


def test_archived_template_is_not_offered_for_sends(admin: WebClient, editor: str) -> None:
    assert "Renewal" in admin.get("/Admin/Sends/new").text
    admin.post(f"{editor}/archive")
    assert "Renewal" not in admin.get("/Admin/Sends/new").text
    assert "Renewal" not in admin.get(URL).text.partition("<tbody>")[2]
    assert "Renewal" in admin.get(f"{URL}?archived=yes").text
    assert "new sends do not offer it" in admin.get(editor).text
    admin.post(f"{editor}/unarchive")
    assert "Renewal" in admin.get("/Admin/Sends/new").text


def test_copy_starts_a_new_template(admin: WebClient, editor: str) -> None:
    page = admin.get(f"{URL}/new?copy={editor.rpartition('/')[2]}").text
    assert 'value="Copy of Renewal"' in page
    assert 'value="renewal-copy"' in page
    assert "Pay {{ data.fee }}." in page


@pytest.fixture
def schedule(monkeypatch: pytest.MonkeyPatch, web_app: Flask) -> None:
    """A schedule that uses every template and provides `data.fee`."""
    use = TemplateUse("Schedule “Renewals”", "/Admin/Sends", frozenset({"fee"}))
    monkeypatch.setattr(template_uses, "FINDERS", [lambda _template_id: [use]])


def test_field_that_a_schedule_provides_goes_only_if_confirmed(admin: WebClient, editor: str, schedule: None) -> None:
    changed = {**DRAFT, "body": "Pay.", "base_version": "1"}
    asked = admin.post(editor, **changed)
    assert asked.status_code == 422
    assert "<code>data.fee</code> comes from" in asked.text
    assert "Schedule “Renewals”" in asked.text
    assert "Pay." in asked.text
    assert find_page_problems(asked.text) == []
    assert "version 1" in admin.get(editor).text
    assert admin.post(editor, confirmed_fields="fee", **changed).status_code == 303


def test_restoring_a_version_without_a_provided_field_must_be_confirmed(
    admin: WebClient, editor: str, schedule: None
) -> None:
    admin.post(editor, **DRAFT | {"body": "Pay."}, base_version="1", confirmed_fields="fee")
    admin.post(editor, **DRAFT, base_version="2")
    asked = admin.post(f"{editor}/versions/2/restore", base_version="3")
    assert asked.status_code == 422
    assert "<code>data.fee</code> comes from" in asked.text
    confirmed = admin.post(f"{editor}/versions/2/restore", base_version="3", confirmed_fields="fee")
    assert confirmed.status_code == 303


def test_template_that_a_schedule_uses_is_not_archived(admin: WebClient, editor: str, schedule: None) -> None:
    admin.post(f"{editor}/archive")
    assert "it is still used by Schedule “Renewals”" in admin.get(editor).text

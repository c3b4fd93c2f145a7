import re

import pytest
from flask import Flask
from sqlalchemy import func, select

from portal.accounts.tables.accounts import Account, find_by_external_id
from portal.content.tables.templates import Template
from portal.core.extensions import db
from portal.messages.tables.communications import Communication
from portal.sends.tables.sends import Send
from tests.support.html_checks import find_page_problems
from tests.support.web_client import PUBLIC_URL, WebClient

OWN = [
    "/MyAccount/PhoneNumbers",
    "/MyAccount/PhoneNumbers/1/StopTexts",
    "/MyAccount/CommunicationsHistory",
    "/MyAccount/CommunicationsHistory?q=nothing+like+it",
    "/MyAccount/CommunicationsHistory/print",
    "/MyAccount/CommunicationsHistory/1",
    "/MyAccount/PersonalData",
    "/MyAccount/Profile",
    "/Help",
    "/Help/recipient",
]
ADMIN = [
    "/Admin",
    "/Admin?days=90",
    "/Admin/Accounts",
    "/Admin/Accounts?q=nobody+at+all",
    "/Admin/Accounts/1",
    "/Admin/Accounts/New",
    "/Admin/Accounts/Import",
    "/Admin/Accounts/Import/2",
    "/Admin/Accounts/1/Edit",
    "/Admin/Accounts/1/Deactivate",
    "/Admin/Accounts/1/Merge",
    "/Admin/Accounts/1/Merge?q=name",
    "/Admin/Accounts/1/Merge?with=2",
    "/Admin/Attributes",
    "/Admin/Attributes/new",
    "/Admin/Attributes/import",
    "/Admin/Attributes/import/1",
    "/Admin/Attributes/1",
    "/Admin/Attributes/1/remove",
    "/Admin/Automations/Templates",
    "/Admin/Automations/Templates/new",
    "/Admin/Automations/Templates/1",
    "/Admin/Automations/Templates/1/versions/1",
    "/Admin/Automations/Templates/1/compare",
    "/Admin/Automations/Templates?q=notice&tag=none&archived=yes",
    "/Admin/Sends",
    "/Admin/Sends/new",
    "/Admin/Sends/new?template=notice",
    "/Admin/Sends/1",
    "/Admin/Sends/Files",
    "/Admin/Sends/Files/1",
    "/Admin/Schedules",
    "/Admin/Schedules/Month",
    "/Admin/Schedules/new",
    "/Admin/Schedules/new?template=notice",
    "/Admin/Schedules/1",
    "/Admin/Schedules/1/edit",
    "/Admin/Schedules/1/next",
    "/Admin/Schedules/1/end",
    "/Admin/Schedules/2",
    "/Admin/Schedules/2/edit",
    "/Admin/Schedules/4",
    "/Admin/Communications",
    "/Admin/Communications?q=olive&group=waiting&channel=email&send=1",
    "/Admin/Communications/1",
    "/Admin/Communications/Exports",
    "/Admin/Communications/Exports/1",
    "/Admin/Communications/Exports/new?q=olive&group=waiting&channel=email&send=1",
]
TOPICS = ["/Admin/Topics", "/Admin/Topics/new", "/Admin/Topics/1"]
"""About texts alone, and there while texts are off, so that they can be prepared."""
_TOKEN = re.compile(r'name="csrf_token" value="[^"]+"')
SMS_WORDS = re.compile(r"\bSMS\b|\btexts?\b|\btexted\b", re.IGNORECASE)


@pytest.mark.parametrize("path", ["/SignIn", "/ForgotPassword", "/nowhere"])
def test_public_pages_are_valid(visitor: WebClient, path: str) -> None:
    assert find_page_problems(visitor.get(path).text) == []


@pytest.mark.parametrize("path", OWN)
def test_account_pages_are_valid_and_complete(
    number_owner: WebClient, sent_communications: dict[str, int], sms_enabled: None, path: str
) -> None:
    response = number_owner.get(path)
    assert response.status_code == 200
    assert find_page_problems(response.text) == []


def test_admin_pages_are_valid_with_texts_on(
    admin: WebClient, sms_enabled: None, sent_communications: dict[str, int], recipient_file: int
) -> None:
    for path in [*ADMIN, *TOPICS]:
        response = admin.get(path)
        assert (response.status_code, find_page_problems(response.text)) == (200, []), path
        assert "Texts reach real phones." in response.text, path


def test_admins_see_only_the_banner_while_texts_are_off(
    admin: WebClient, sent_communications: dict[str, int], recipient_file: int
) -> None:
    for path in ADMIN:
        page = admin.get(path).text
        assert find_page_problems(page) == [], path
        assert "SMS off" in page, path
        assert SMS_WORDS.findall(_without_banners(page)) == [], path


def test_text_states_are_not_searchable_while_texts_are_off(
    web_app: Flask, admin: WebClient, sent_communications: dict[str, int]
) -> None:
    search = "/Admin/Communications?group=skipped"
    assert "Notice for Olive Owner" not in admin.get(search).text
    assert "Notice for Olive Owner" not in admin.get(f"{search}&channel=sms").text
    assert "Notice for Olive Owner" in admin.get("/Admin/Communications?group=waiting").text


@pytest.mark.parametrize("path", OWN)
def test_users_see_nothing_about_texts_while_they_are_off(
    number_owner: WebClient, sent_communications: dict[str, int], path: str
) -> None:
    assert SMS_WORDS.findall(_words(number_owner.get(path).text)) == []


def test_opening_a_communication_marks_it_as_read(
    web_app: Flask, number_owner: WebClient, sent_communications: dict[str, int]
) -> None:
    listing = number_owner.get("/MyAccount/CommunicationsHistory").text
    assert "Notice for Olive Owner" in listing
    assert ">New<" in listing
    page = number_owner.get(f"/MyAccount/CommunicationsHistory/{sent_communications['P-1']}").text
    assert "<strong>Olive Owner</strong>" in page
    assert ">New<" not in number_owner.get("/MyAccount/CommunicationsHistory").text


@pytest.mark.parametrize("headers", [{"Sec-Purpose": "prefetch"}, {"Purpose": "prefetch"}])
def test_prefetching_does_not_mark_as_read(
    number_owner: WebClient, sent_communications: dict[str, int], headers: dict[str, str]
) -> None:
    number_owner.get(f"/MyAccount/CommunicationsHistory/{sent_communications['P-1']}", headers=headers)
    assert ">New<" in number_owner.get("/MyAccount/CommunicationsHistory").text


def test_communication_of_another_account_is_404(
    other_user: WebClient, admin: WebClient, sent_communications: dict[str, int]
) -> None:
    assert other_user.get(f"/MyAccount/CommunicationsHistory/{sent_communications['P-1']}").status_code == 404
    assert admin.get(f"/MyAccount/CommunicationsHistory/{sent_communications['P-1']}").status_code == 404


def test_short_link_opens_the_full_notification(
    web_app: Flask, number_owner: WebClient, visitor: WebClient, sent_communications: dict[str, int]
) -> None:
    link = f"/c/{_token(web_app, sent_communications['P-1'])}"
    assert number_owner.get(link).location == f"/MyAccount/CommunicationsHistory/{sent_communications['P-1']}"
    assert visitor.get(link).location == f"/SignIn?next={link}"


def test_link_of_another_account_is_404_like_an_unknown_link(
    web_app: Flask, other_user: WebClient, admin: WebClient, sent_communications: dict[str, int]
) -> None:
    link = f"/c/{_token(web_app, sent_communications['P-1'])}"
    for role in (other_user, admin):
        known, unknown = role.get(link), role.get("/c/NeverWas")
        assert known.status_code == unknown.status_code == 404
        assert _TOKEN.sub("", known.text.replace(link, "/c/NeverWas")) == _TOKEN.sub("", unknown.text)
        assert role.get("/c/%00").status_code == 404


def test_phone_number_is_added_labelled_and_removed(number_owner: WebClient) -> None:
    path = "/MyAccount/PhoneNumbers"
    assert number_owner.post(path, number="(202) 555-0142", label="work").status_code == 303
    page = number_owner.get(path).text
    assert "(202) 555-0142" in page
    assert "work" in page
    number_id = re.findall(r"/PhoneNumbers/(\d+)/remove", page)[-1]
    number_owner.post(f"{path}/{number_id}/label", label="home")
    assert "home" in number_owner.get(path).text
    number_owner.post(f"{path}/{number_id}/remove")
    assert "(202) 555-0142" not in number_owner.get(path).text


def test_invalid_number_is_explained_and_the_input_kept(number_owner: WebClient) -> None:
    response = number_owner.post("/MyAccount/PhoneNumbers", number="12ab", label="my <phone>")
    assert response.status_code == 422
    assert 'value="12ab"' in response.text
    assert "my &lt;phone&gt;" in response.text
    assert 'aria-invalid="true"' in response.text
    assert find_page_problems(response.text) == []


def test_number_of_another_account_cannot_be_changed(number_owner: WebClient, other_user: WebClient) -> None:
    number_id = re.findall(r"/PhoneNumbers/(\d+)/remove", number_owner.get("/MyAccount/PhoneNumbers").text)[0]
    for verb in ("label", "remove"):
        assert other_user.post(f"/MyAccount/PhoneNumbers/{number_id}/{verb}", label="x").status_code == 404
    assert "(202) 555-0101" in number_owner.get("/MyAccount/PhoneNumbers").text


def test_admin_changes_numbers_of_the_chosen_account_only(web_app: Flask, admin: WebClient) -> None:
    with web_app.app_context():
        first, second = find_by_external_id("P-1"), find_by_external_id("P-2")
        assert first
        assert second
        own, other = f"/Admin/Accounts/{first.id}", f"/Admin/Accounts/{second.id}"
    assert admin.post(f"{own}/numbers", number="bad").status_code == 422
    assert admin.post(f"{other}/numbers", number="(202) 555-0101").status_code == 303
    assert "Also on" in admin.get(own).text
    number_id = re.findall(r"/numbers/(\d+)/remove", admin.get(own).text)[0]
    assert admin.post(f"{other}/numbers/{number_id}/remove").status_code == 404
    assert admin.post(f"{own}/numbers/{number_id}/remove").status_code == 303


def test_live_search_returns_only_the_list(admin: WebClient) -> None:
    response = admin.get("/Admin/Accounts?q=olive", headers={"HX-Request": "true"})
    assert response.text.lstrip().startswith('<section id="accounts"')
    assert "Olive Owner" in response.text
    assert "Stan Stranger" not in response.text
    assert "HX-Request" in response.headers["Vary"]


def test_every_save_of_a_template_makes_a_version(admin: WebClient) -> None:
    fields = {"key": "renewal", "name": "Renewal", "subject": "Renew, {{ first_name }}", "body": "**Now**"}
    made = admin.post("/Admin/Automations/Templates/new", **fields)
    assert made.status_code == 303
    saved = admin.post(made.location, **{**fields, "subject": "Renew soon", "base_version": "1"})
    assert saved.location == made.location
    page = admin.get(made.location).text
    assert "version 2" in page
    assert "Renew soon" in page
    assert "Renew, {{ first_name }}" in admin.get(f"{made.location}/versions/1").text
    assert admin.get(f"{made.location}/versions/3").status_code == 404


def test_concurrent_save_of_a_template_is_refused(web_app: Flask, admin: WebClient) -> None:
    fields = {"key": "renewal", "name": "Renewal", "subject": "One", "body": "Body"}
    path = admin.post("/Admin/Automations/Templates/new", **fields).location
    admin.post(path, **{**fields, "subject": "Two", "base_version": "1"})
    late = admin.post(path, **{**fields, "subject": "Three", "base_version": "1"})
    assert late.status_code == 422
    assert "Somebody saved version 2" in late.text
    assert 'value="Three"' in late.text
    with web_app.app_context():
        assert db.session.scalars(select(Template)).one().current_version == 2


def test_template_error_names_its_field_and_line(admin: WebClient) -> None:
    fields = {"key": "Bad Key", "name": "", "subject": "Hi {{ nam }}", "body": "one\n{{ name | nothing }}"}
    response = admin.post("/Admin/Automations/Templates/new", **fields)
    assert response.status_code == 422
    assert "no merge field “nam”" in response.text
    assert "Line 2" in response.text
    assert "{{ name | nothing }}" in response.text
    assert find_page_problems(response.text) == []


def test_preview_shows_the_email_and_the_size_of_the_text(admin: WebClient, sms_enabled: None) -> None:
    fields = {"subject": "Hello {{ first_name }} ☎", "body": "<script>alert(1)</script> **yes**", "sms_enabled": "yes"}
    token = admin.csrf_token()
    path = "/Admin/Automations/Templates/preview"
    fragment = admin.post_without_token(path, {**fields, "csrf_token": token}, HX_Request="true").text
    assert fragment.lstrip().startswith('<section id="preview"')
    assert "Hello Jordan ☎" in fragment
    assert "<script>" not in fragment
    frame = admin.post_without_token(f"{path}/email", {**fields, "csrf_token": token}).text
    assert "<script>" not in frame
    assert "<strong>yes</strong>" in frame
    assert "UCS-2" in fragment
    assert "1 segment" in fragment
    whole = admin.post_without_token(path, {**fields, "csrf_token": token}).text
    assert find_page_problems(whole) == []
    assert "**yes**" in whole


def test_preview_shows_characters_replaced_in_the_text(admin: WebClient, sms_enabled: None) -> None:
    words = "Dr. O’Neill’s renewal is due: send the form, the fee and both references before January 20, 2027 –"
    fields = {"subject": f"{words}\u00a0soon\u200b 🎉", "body": "x", "sms_enabled": "yes"}
    page = " ".join(admin.post("/Admin/Automations/Templates/preview", **fields).text.split())
    assert "Replaced in the text to save space: <kbd>’</kbd> as <kbd>&#39;</kbd>" in page
    assert "<kbd>zero width space</kbd> removed." in page
    assert "Removed so that the text fits: <kbd>🎉</kbd>" in page
    assert "shortened" not in page


def test_optional_field_is_labelled_and_not_required(admin: WebClient, sms_enabled: None) -> None:
    body = "{{ data.fee | default: 'none' }} {{ data.due }}"
    admin.post("/Admin/Automations/Templates/new", key="fee", name="Fee", subject="Fee", body=body)
    page = admin.get("/Admin/Sends/new?template=fee").text
    (fee,) = re.findall(r'<input id="field-data.fee"[^>]*>', page)
    (due,) = re.findall(r'<input id="field-data.due"[^>]*>', page)
    assert ("required" in fee, "required" in due) == (False, True)
    assert "Optional." in page
    response = admin.post(
        "/Admin/Sends/confirm", **{"template": "fee", "audience_type": "all", "data.fee": "5 USD", "data.due": ""}
    )
    assert 'id="field-data.due-error"' in response.text
    assert "The template needs a value for “due”." in response.text
    assert "5 USD" in response.text
    assert find_page_problems(response.text) == []


def test_unreadable_filter_value_is_named_at_its_field(admin: WebClient, sms_enabled: None) -> None:
    body = "{{ data.when | date: '%B %-d, %Y' }}"
    admin.post("/Admin/Automations/Templates/new", key="due", name="Due", subject="Due", body=body)
    for path in ("/Admin/Sends/confirm", "/Admin/Sends"):
        fields = {"template": "due", "audience_type": "all", "data.when": "May 2027", "version_id": "1"}
        page = admin.post(path, **fields).text
        assert "“May 2027”, given for data.when, is not a complete date." in page


def test_template_that_can_no_longer_be_filled_in_is_named(
    web_app: Flask, admin: WebClient, sms_enabled: None, sent_communications: dict[str, int]
) -> None:
    with web_app.app_context():
        version = db.session.scalars(select(Template)).one().versions[0]
        version.subject = "{{ name | escape }}"
        db.session.commit()
    assert admin.get("/Admin/Sends/new?template=notice").status_code == 200
    assert admin.get("/Admin/Automations/Templates/1").status_code == 200
    assert admin.get("/Admin/Sends").status_code == 200
    page = admin.post("/Admin/Sends/confirm", template="notice", audience_type="all").text
    assert "The template has an error. Correct it first. Line 1: there is no filter “escape” here" in page


def test_saving_with_texts_off_keeps_the_sms_setting(
    web_app: Flask, admin: WebClient, sent_communications: dict[str, int]
) -> None:
    fields = {"name": "Notice", "subject": "New words", "body": "Body", "base_version": "1"}
    admin.post("/Admin/Automations/Templates/1", **fields)
    with web_app.app_context():
        template = db.session.scalars(select(Template)).one()
        assert (template.current_version, template.versions[0].sms_enabled) == (2, True)


def test_send_is_confirmed_first_and_a_double_click_sends_once(
    web_app: Flask, admin: WebClient, sms_enabled: None, sent_communications: dict[str, int]
) -> None:
    page = admin.post("/Admin/Sends/confirm", template="notice", audience_type="all").text
    assert find_page_problems(page) == []
    assert "Send 4 emails and 1 text<" in page
    assert "No phone number on the account" in page
    fields = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page))
    first, second = admin.post("/Admin/Sends", **fields), admin.post("/Admin/Sends", **fields)
    assert first.status_code == 303
    assert first.location == second.location
    with web_app.app_context():
        assert db.session.scalar(select(func.count(Send.id))) == 2  # this one, and the one already sent
    assert admin.get(first.location).status_code == 200


def test_send_is_confirmed_again_if_the_template_changed(
    web_app: Flask, admin: WebClient, sent_communications: dict[str, int]
) -> None:
    response = admin.post("/Admin/Sends", template="notice", audience_type="all", version_id="99", request_key="k")
    assert "The template has changed." in response.text
    with web_app.app_context():
        assert db.session.scalar(select(func.count(Send.id))) == 1


def test_unknown_audience_is_named_and_the_input_kept(admin: WebClient, sent_communications: dict[str, int]) -> None:
    response = admin.post(
        "/Admin/Sends/confirm", template="notice", audience_type="external_ids", external_ids="P-1\nP-99"
    )
    assert response.status_code == 422
    assert "P-99" in response.text
    assert "P-1\nP-99" in response.text.replace("\r", "")
    assert find_page_problems(response.text) == []


def test_repeated_account_numbers_are_counted_once(admin: WebClient, sent_communications: dict[str, int]) -> None:
    page = admin.post(
        "/Admin/Sends/confirm", template="notice", audience_type="external_ids", external_ids=" P-1 \r\n\r\nP-2, P-1"
    ).text
    assert "Send 2 emails<" in page


def test_progress_polls_until_nothing_more_is_expected(
    web_app: Flask, admin: WebClient, sent_communications: dict[str, int]
) -> None:
    fragment = admin.get("/Admin/Sends/1/progress").text
    assert fragment.lstrip().startswith('<section id="progress"')
    assert 'hx-trigger="every' in fragment
    with web_app.app_context():
        for communication in db.session.scalars(select(Communication)):
            for delivery in communication.deliveries:
                delivery.state = "handed_off" if delivery.channel == "email" else "skipped"
        send = db.session.scalars(select(Send)).one()
        send.state, send.finished_at_ms = "done", send.created_at_ms + 5_000
        db.session.commit()
    assert "hx-trigger" not in admin.get("/Admin/Sends/1/progress").text
    assert "hx-trigger" not in admin.get("/Admin/Communications/1/story").text


@pytest.mark.parametrize("q", ["\x00", "%", "_", "'", "a" * 5000, "ñ", "<b>"])
def test_unusual_searches_return_no_results(admin: WebClient, q: str) -> None:
    for path in ("/Admin/Accounts", "/Admin/Communications"):
        response = admin.get(path, query_string={"q": q, "group": q, "channel": q, "type": q, "page": q, "before": q})
        assert response.status_code == 200
        assert "<b>" not in response.text


def test_names_are_escaped(web_app: Flask, admin: WebClient, sent_communications: dict[str, int]) -> None:
    with web_app.app_context():
        db.session.scalars(select(Account).where(Account.external_id == "P-1")).one().name = "<img src=x onerror=y>"
        db.session.commit()
    for path in ("/Admin/Accounts", "/Admin/Communications", "/Admin/Accounts/1"):
        assert "<img" not in admin.get(path).text


def _token(app: Flask, communication_id: int) -> str:
    with app.app_context():
        row = db.session.get(Communication, communication_id)
        assert row
        return row.token


def _without_banners(page: str) -> str:
    return _words(re.sub(r'<aside id="mode".*?</aside>', "", page, flags=re.DOTALL))


def _words(page: str) -> str:
    """The visible text, without tags and attributes."""
    return re.sub(r"<[^>]*>", " ", page)


def test_link_of_ones_other_account_offers_to_sign_out(
    web_app: Flask, other_user: WebClient, sent_communications: dict[str, int]
) -> None:
    link = f"/c/{_token(web_app, sent_communications['P-1'])}"
    page = other_user.get(link)
    assert "You are signed in as Stan Stranger, P-2" in page.text
    assert f'action="/SignOut?next={link}"' in page.text.replace("%2F", "/")
    response = other_user.post(f"/SignOut?next={link}")
    assert response.headers["Location"].endswith(link)


def test_back_and_reload_after_sending_show_the_same_send(
    admin: WebClient, sent_communications: dict[str, int]
) -> None:
    form = {"template": "notice", "audience_type": "all", "form_id": "one-form"}
    version = re.search(r'name="version_id" value="(\d+)"', admin.post("/Admin/Sends/confirm", **form).text)
    assert version
    first = admin.post("/Admin/Sends", **form, version_id=version.group(1))
    again = admin.post("/Admin/Sends", **form, version_id=version.group(1))
    other = admin.post(
        "/Admin/Sends", **{**form, "audience_type": "external_ids", "external_ids": "P-1"}, version_id=version.group(1)
    )
    assert first.headers["Location"] == again.headers["Location"] != other.headers["Location"]


def test_confirmation_shows_the_message_of_one_recipient(admin: WebClient, sent_communications: dict[str, int]) -> None:
    page = admin.post("/Admin/Sends/confirm", template="notice", audience_type="external_ids", external_ids="P-1").text
    assert "What Olive Owner receives" in page
    assert "Hello <strong>Olive Owner</strong>." in page


@pytest.mark.parametrize("typed", ["(202) 555-0101", "2025550101", "+12025550101", "555-0101"])
def test_communications_are_found_by_phone_number(
    admin: WebClient, sent_communications: dict[str, int], typed: str
) -> None:
    accounts = admin.client.get("/Admin/Accounts", query_string={"q": typed}, base_url=PUBLIC_URL).text
    assert "Olive Owner" in accounts
    assert "Stan Stranger" not in accounts
    communications = admin.client.get("/Admin/Communications", query_string={"q": typed}, base_url=PUBLIC_URL).text
    assert "Notice for Olive Owner" in communications
    assert "Stan Stranger" not in communications

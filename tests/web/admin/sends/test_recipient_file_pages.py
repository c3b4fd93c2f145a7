"""Upload a file at the form of a send, see what is wrong with it, and send to its good rows."""

import io
import re

import pytest
from flask import Flask
from sqlalchemy import select
from werkzeug.test import TestResponse

from portal.core.clock import now_ms
from portal.core.extensions import db
from portal.messages.tables.communications import Communication
from portal.sends import fan_out
from portal.sends.tables.recipient_files import RecipientFile
from portal.sends.tables.sends import Send
from tests.support.html_checks import find_page_problems
from tests.support.page_queries import audit_entries, visible_text
from tests.support.spreadsheets.recipient_file_scenario import add_exam_template, check
from tests.support.web_client import PUBLIC_URL, WebClient

FORM, FILES = "/Admin/Sends/new?template=exam", "/Admin/Sends/Files"
CSV = "external_id,exam_date,city\nP-1,2027-05-28,Reno\nP-2,2027-06-01,Elko\nP-9,May,Elko\n"
HTMX = {"HX-Request": "true"}


@pytest.fixture(autouse=True)
def exam(web_app: Flask, sms_enabled: None) -> None:
    with web_app.app_context():
        add_exam_template()


def upload(admin: WebClient, content: str | bytes = CSV, name: str = "exams.csv", **fields: str) -> TestResponse:
    raw = content.encode() if isinstance(content, str) else content
    values = {"csrf_token": admin.csrf_token(), "template": "exam", **fields, "file": (io.BytesIO(raw), name)}
    return admin.client.post(
        f"{FILES}?template=exam", data=values, base_url=PUBLIC_URL, headers={"Referer": f"{PUBLIC_URL}/"}
    )


def upload_and_check(web_app: Flask, admin: WebClient, content: str | bytes = CSV, **fields: str) -> str:
    """The address of the file's page."""
    response = upload(admin, content, **fields)
    assert response.status_code == 303
    with web_app.app_context():
        check(int(response.location.rpartition("/")[2]))
    return str(response.location)


def form_fields(page: str, action: str) -> dict[str, str]:
    form = page.partition(f'action="{action}"')[2].partition("</form>")[0]
    return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form))


def send_to_good_rows(admin: WebClient, address: str) -> tuple[str, TestResponse]:
    """The text of the confirmation page, and what its button does."""
    page = admin.get(address).text
    confirmation = admin.post_without_token("/Admin/Sends/confirm", form_fields(page, "/Admin/Sends/confirm"))
    sent = admin.post_without_token("/Admin/Sends", form_fields(confirmation.text, "/Admin/Sends"))
    return visible_text(confirmation.text), sent


def test_form_of_a_send_offers_an_upload_and_names_the_columns(admin: WebClient) -> None:
    page = admin.get(FORM).text
    assert find_page_problems(page) == []
    assert "Or upload a file with values for each person" in page
    assert "city, exam_date, fee" in visible_text(page)


def test_list_of_files_tells_who_uploaded_what_and_its_send(web_app: Flask, admin: WebClient) -> None:
    page = admin.get(FILES).text
    assert "No file has been uploaded yet" in page
    send_to_good_rows(admin, upload_and_check(web_app, admin))
    upload(admin, name="later.csv")
    page = admin.get(FILES).text
    assert find_page_problems(page) == []
    words = visible_text(page)
    later, earlier = words.index("later.csv"), words.index("exams.csv")
    assert later < earlier
    assert "Name of A-1" in words[later:earlier]
    assert "Being checked" in words[later:earlier]
    assert re.search(r"2 1 (?!Not sent)", words[earlier:])
    assert 'href="/Admin/Sends/Files"' in admin.get(f"{FILES}/1").text


def test_page_shows_the_progress_and_then_only_the_bad_rows(web_app: Flask, admin: WebClient) -> None:
    address = str(upload(admin).location)
    waiting = admin.get(address)
    assert find_page_problems(waiting.text) == []
    assert "Being checked" in waiting.text
    assert "hx-trigger" in admin.get(address, headers=HTMX).text
    with web_app.app_context():
        check(1)
    page = visible_text(admin.get(address).text)
    assert find_page_problems(admin.get(address).text) == []
    assert "2 good rows 1 row has a problem" in page
    assert "Row Column Problem 4 A, external_id There is no account with the number P-9." in page
    assert "Reno" not in page
    assert "hx-trigger" not in admin.get(address, headers=HTMX).text


def test_send_goes_to_the_good_rows_with_their_values(web_app: Flask, admin: WebClient) -> None:
    confirmation, sent = send_to_good_rows(admin, upload_and_check(web_app, admin, **{"data.fee": "25"}))
    assert "2 people from exams.csv" in confirmation
    assert "From the file exam_date city" in confirmation
    assert "Exam for Olive Owner in Reno" in confirmation
    assert sent.status_code == 303
    with web_app.app_context():
        fan_out.fan_out_send(1, lambda: now_ms() + 60_000)  # after the time in which it can be undone
        subjects = list(db.session.scalars(select(Communication.subject).order_by(Communication.account_id)))
        assert subjects == ["Exam for Olive Owner in Reno", "Exam for Stan Stranger in Elko"]
    page = visible_text(admin.get(sent.location).text)
    assert "Exam for [full name] in [city]" in page
    assert "To 2 people from exams.csv City From the file Exam date From the file Fee 25 File exams.csv" in page


def test_double_click_sends_once(web_app: Flask, admin: WebClient) -> None:
    page = admin.get(upload_and_check(web_app, admin)).text
    confirmation = admin.post_without_token("/Admin/Sends/confirm", form_fields(page, "/Admin/Sends/confirm"))
    fields = form_fields(confirmation.text, "/Admin/Sends")
    locations = {admin.post_without_token("/Admin/Sends", fields).location for _click in range(2)}
    assert locations == {"/Admin/Sends/1"}


def confirmed_fields(admin: WebClient, address: str) -> dict[str, str]:
    """What the button of the confirmation page submits."""
    fields = form_fields(admin.get(address).text, "/Admin/Sends/confirm")
    return form_fields(admin.post_without_token("/Admin/Sends/confirm", fields).text, "/Admin/Sends")


def test_second_send_of_a_file_from_another_tab_is_asked_about(
    web_app: Flask, admin: WebClient, sysadmin: WebClient
) -> None:
    address = upload_and_check(web_app, admin)
    mine, theirs = confirmed_fields(admin, address), confirmed_fields(sysadmin, address)
    assert admin.post_without_token("/Admin/Sends", mine).status_code == 303
    refused = sysadmin.post_without_token("/Admin/Sends", theirs)
    assert refused.status_code == 422
    assert find_page_problems(refused.text) == []
    assert "Name of A-1 sent to the people in this file meanwhile." in visible_text(refused.text)
    with web_app.app_context():
        assert db.session.query(Send).count() == 1
    fields = form_fields(refused.text, "/Admin/Sends/confirm")
    confirmation = sysadmin.post_without_token("/Admin/Sends/confirm", fields)
    again = sysadmin.post_without_token("/Admin/Sends", form_fields(confirmation.text, "/Admin/Sends"))
    assert again.location == "/Admin/Sends/2"


def test_file_that_was_asked_about_is_sent_again(web_app: Flask, admin: WebClient) -> None:
    address = upload_and_check(web_app, admin)
    locations = [admin.post_without_token("/Admin/Sends", confirmed_fields(admin, address)).location for _ in range(2)]
    assert locations == ["/Admin/Sends/1", "/Admin/Sends/2"]


def test_send_again_asks_for_the_same_people_and_values(web_app: Flask, admin: WebClient) -> None:
    send_to_good_rows(admin, upload_and_check(web_app, admin))
    page = admin.get("/Admin/Sends/1/again")
    assert page.status_code == 200
    assert "2 people from exams.csv" in page.text
    assert "in Reno" in page.text


def test_change_of_the_send_keeps_the_file(web_app: Flask, admin: WebClient) -> None:
    page = admin.get(upload_and_check(web_app, admin)).text
    fields = form_fields(page, "/Admin/Sends/confirm")
    form = admin.post_without_token("/Admin/Sends/new", fields | {"data.fee": "7"})
    assert find_page_problems(form.text) == []
    assert form_fields(form.text, "/Admin/Sends/confirm")["recipient_file"] == "1"
    assert "2 people from exams.csv" in form.text
    assert 'name="data.fee"' in form.text
    assert 'name="data.city"' not in form.text


def test_same_file_within_a_day_is_asked_about(web_app: Flask, admin: WebClient, sysadmin: WebClient) -> None:
    send_to_good_rows(admin, upload_and_check(web_app, admin))
    page = visible_text(admin.get(upload_and_check(web_app, admin)).text)
    assert "You uploaded this file just now and sent it to 2 people. Use it again?" in page
    assert "Use it again for the 2 good rows…" in page
    others = visible_text(sysadmin.get("/Admin/Sends/Files/2").text)
    assert "Name of A-1 uploaded this file just now and sent it to 2 people." in others
    again = visible_text(admin.get("/Admin/Sends/Files/1").text)
    assert "You uploaded this file just now and sent it to 2 people. Use it again?" in again


def test_same_file_that_was_not_sent_is_asked_about(web_app: Flask, admin: WebClient) -> None:
    upload_and_check(web_app, admin)
    page = visible_text(admin.get(upload_and_check(web_app, admin)).text)
    assert "You uploaded this file just now and have not sent it. Use it again?" in page


def test_same_file_a_day_later_is_not_asked_about(web_app: Flask, admin: WebClient) -> None:
    first = upload_and_check(web_app, admin)
    with web_app.app_context():
        db.session.get_one(RecipientFile, int(first.rpartition("/")[2])).created_at_ms -= 86_400_001
        db.session.commit()
    assert "Use it again" not in admin.get(upload_and_check(web_app, admin)).text


def test_good_and_bad_rows_are_downloaded_apart(web_app: Flask, admin: WebClient) -> None:
    address = upload_and_check(web_app, admin)
    good, bad = (admin.get(f"{address}/{rows}.csv").text for rows in ("good", "bad"))
    assert good.splitlines() == [
        '\ufeff"external_id","exam_date","city"',
        '"P-1","2027-05-28","Reno"',
        '"P-2","2027-06-01","Elko"',
    ]
    assert bad.splitlines() == [
        '\ufeff"external_id","exam_date","city","Problem"',
        '"P-9","May","Elko","A, external_id: There is no account with the number P-9."',
    ]


def test_corrected_download_can_be_uploaded(web_app: Flask, admin: WebClient) -> None:
    address = upload_and_check(web_app, admin, CSV.replace("P-9,May", "P-9,2027-06-02"))
    corrected = admin.get(f"{address}/bad.csv").text.replace("P-9", "V-1")
    page = visible_text(admin.get(upload_and_check(web_app, admin, corrected)).text)
    assert "1 good row no row has a problem" in page
    assert "The template does not use these columns: Problem." in page


@pytest.mark.parametrize(("content", "problem"), [(b"", "The file is empty."), (b" \n", "The file is empty.")])
def test_problem_of_the_upload_is_shown_at_its_field(admin: WebClient, content: bytes, problem: str) -> None:
    response = upload(admin, content, **{"data.city": "Elko", "audience_type": "external_ids", "external_ids": "P-1"})
    assert response.status_code == 422
    assert find_page_problems(response.text) == []
    assert f'id="field-file-error">{problem}' in response.text
    assert 'value="Elko"' in response.text
    assert "P-1</textarea>" in response.text


def test_upload_without_a_file_says_so(admin: WebClient) -> None:
    response = admin.post(f"{FILES}?template=exam", template="exam")
    assert response.status_code == 422
    assert 'id="field-file-error">Choose a file.' in response.text


def test_file_that_cannot_be_used_says_why(web_app: Flask, admin: WebClient) -> None:
    page = admin.get(upload_and_check(web_app, admin, "name,city\nx,y\n")).text
    assert find_page_problems(page) == []
    assert "Row 1 needs a heading “external_id”" in page
    assert "Send to" not in page


def test_too_large_file_is_refused_with_the_form(admin: WebClient) -> None:
    response = upload(admin, b"1" * 21 * 1024 * 1024)
    assert response.status_code == 413
    assert find_page_problems(response.text) == []
    assert "The file is larger than 20 MB. Split it" in response.text


def test_file_of_several_megabytes_is_accepted(admin: WebClient) -> None:
    assert upload(admin, "external_id\n" + "P-1\n" * 1_500_000).status_code == 303


def test_missing_file_is_not_found(admin: WebClient) -> None:
    assert admin.get(f"{FILES}/7").status_code == admin.get(f"{FILES}/7/good.csv").status_code == 404


def test_stale_file_keeps_the_form_and_says_what_to_do(admin: WebClient) -> None:
    response = admin.post("/Admin/Sends/confirm", template="exam", recipient_file="7", **{"data.city": "Elko"})
    assert response.status_code == 422
    assert 'value="Elko"' in response.text
    assert "Upload it again" in response.text


def test_upload_and_send_are_in_the_audit_log(web_app: Flask, admin: WebClient, sysadmin: WebClient) -> None:
    send_to_good_rows(admin, upload_and_check(web_app, admin))
    assert audit_entries(web_app)[-2:] == [("recipient_file_uploaded", "file 1"), ("send_created", "send 1")]
    log = visible_text(sysadmin.get("/SysAdmin/AuditLog").text)
    assert "Uploaded recipient file 1 template exam, version 1, file exams.csv" in log
    assert "to the people in exams.csv, emails: 2" in log
    with web_app.app_context():
        assert db.session.get_one(Send, 1).created_by_id == db.session.get_one(RecipientFile, 1).created_by_id

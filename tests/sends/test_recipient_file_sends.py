"""A send to the people in a file: each gets the values of their own row."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update

from portal.accounts.tables.accounts import Account
from portal.content.message_templates import draft_of, save_template
from portal.content.tables.templates import find_template, find_template_version
from portal.core.errors import InvalidInput
from portal.core.extensions import db
from portal.core.transaction import transaction
from portal.messages.tables.communications import Communication
from portal.sends import fan_out, recipient_file_retention, send_creation, send_preview
from portal.sends.file_audience import MAX_AGE_MS
from portal.sends.send_creation import SendPlan
from portal.sends.tables import recipient_files
from portal.sends.tables.recipient_files import RecipientFile
from portal.sends.tables.sends import Send
from tests.support import scenario
from tests.support.spreadsheets.recipient_file_scenario import (
    EXAM_BODY,
    add_exam_template,
    stored,
    upload,
    upload_checked,
)

pytestmark = pytest.mark.usefixtures("people")
FILE = "external_id,exam_date,city,fee\nP-0,2027-05-28,Reno,80\nP-2,2027-06-01,Elko,\nP-9,2027-06-01,Elko,\n"
DAY_MS = 86_400_000


@pytest.fixture
def people(app: Flask) -> None:
    scenario.configure_gateway()
    scenario.create_accounts(4, with_sms=3)
    add_exam_template()


@pytest.fixture
def file_id(people: None) -> int:
    return upload_checked(FILE)


def plan(file_id: int, **data: str) -> SendPlan:
    return send_creation.plan_send("exam", {"recipient_file": file_id}, data, scenario.now_ms())


def create(file_id: int, at_ms: int | None = None, **data: str) -> int:
    return send_creation.create_send("exam", {"recipient_file": file_id}, data, None, at_ms or scenario.now_ms())


def problems(file_id: int) -> dict[str, str]:
    """Of planning and of creating the send, which are the same."""
    errors = []
    for act in (plan, create):
        with pytest.raises(InvalidInput) as error:
            act(file_id)
        errors.append(error.value.errors)
    assert errors[0] == errors[1]
    return errors[0]


def sent_messages() -> list[tuple[str, str]]:
    query = select(Communication.subject, Communication.body).order_by(Communication.account_id)
    return [
        (subject, "".join(char for char in body if char.isprintable())) for subject, body in db.session.execute(query)
    ]


def test_each_person_gets_the_values_of_their_row(file_id: int) -> None:
    fan_out.fan_out_send(create(file_id), scenario.now_ms)
    assert sent_messages() == [
        ("Exam for Person 0 in Reno", "Your exam is on May 28, 2027. The fee is 80."),
        ("Exam for Person 2 in Elko", "Your exam is on June 1, 2027. The fee is none."),
    ]


def test_value_of_the_send_is_for_rows_without_one(file_id: int) -> None:
    fan_out.fan_out_send(create(file_id, fee="25"), scenario.now_ms)
    assert [body.rpartition(" ")[2] for _subject, body in sent_messages()] == ["80.", "25."]


def test_plan_counts_and_shows_a_person_of_the_file(file_id: int) -> None:
    planned = plan(file_id)
    assert (planned.emails, planned.texts, planned.segments_are_exact) == (2, 2, True)
    assert (planned.sample_recipient, planned.sample.subject) == ("Person 0", "Exam for Person 0 in Reno")


def test_segments_are_estimated_with_the_values_of_each_person() -> None:
    wide = "Ω" * 30
    file_id = upload_checked(f"external_id,exam_date,city\nP-0,2027-05-28,Reno\nP-1,2027-05-28,{wide}\n")
    version = db.session.get_one(RecipientFile, file_id).version
    data = dict.fromkeys(("exam_date", "city", "fee"), "")
    counts = send_preview.count_audience(version, {"recipient_file": file_id}, data, scenario.now_ms())
    estimate = send_preview.estimate_segments(version, data, counts)
    assert (counts.texts, estimate.backlog.segments) == (2, 2)


def test_account_that_became_inactive_is_left_out(file_id: int) -> None:
    with transaction() as session:
        session.execute(update(Account).where(Account.external_id == "P-0").values(active=False))
    assert plan(file_id).emails == 1
    assert stored(file_id).good_rows == 2
    fan_out.fan_out_send(create(file_id), scenario.now_ms)
    assert [subject for subject, _body in sent_messages()] == ["Exam for Person 2 in Elko"]


def test_file_remembers_the_send_that_used_it(file_id: int) -> None:
    send_id = create(file_id)
    assert stored(file_id).send_id == send_id
    assert db.session.get_one(Send, send_id).audience == {"recipient_file": file_id, "external_ids": []}


def test_file_that_is_not_checked_is_refused() -> None:
    assert problems(upload(FILE)) == {
        "audience": "The file has not been checked. Wait for the check, or upload the file again."
    }


def test_file_of_another_template_is_refused(file_id: int) -> None:
    scenario.add_template("other")
    with pytest.raises(InvalidInput, match="not uploaded for this template"):
        send_creation.plan_send("other", {"recipient_file": file_id}, {}, scenario.now_ms())
    assert problems(404) == {"audience": "This file was not uploaded for this template. Upload it again."}


def test_file_without_a_good_row_is_refused() -> None:
    file_id = upload_checked("external_id,exam_date,city\nP-1,2027-05-28,\nP-9,2027-05-28,Reno\n")
    assert problems(file_id) == {"audience": "The file has no row that can be sent to."}


def change_template(**changes: Any) -> None:
    template = find_template("exam")
    assert template
    draft = draft_of(find_template_version(template))
    save_template(template.id, type(draft)(**{**draft.__dict__, **changes}), None, scenario.now_ms())


def test_template_may_be_corrected_after_the_check(file_id: int) -> None:
    change_template(subject="The exam of {{ name }} in {{ data.city }}")
    assert plan(file_id).sample.subject == "The exam of Person 0 in Reno"


def test_field_that_became_required_needs_a_new_file(file_id: int) -> None:
    change_template(body=EXAM_BODY.replace(' | default: "none"', ""))
    assert problems(file_id)["audience"].startswith("The template has changed: every person needs a value for fee now.")


def test_value_that_a_changed_template_cannot_use_is_reported_at_the_file(file_id: int) -> None:
    change_template(subject="{{ data.city | plus: 1 }}")
    assert problems(file_id)["audience"].startswith("For Person 0, P-0: “Reno”, given for data.city, is not a number")


def test_field_that_the_file_lacks_is_asked_for(file_id: int) -> None:
    change_template(subject="{{ data.room }}")
    assert list(problems(file_id)) == ["data.room"]


def test_old_values_are_deleted_and_people_and_messages_stay(file_id: int) -> None:
    fan_out.fan_out_send(create(file_id), scenario.now_ms)
    later = scenario.now_ms() + MAX_AGE_MS + DAY_MS
    recipient_file_retention.delete_old_values(lambda: later)
    assert [row.data for row in recipient_files.good_rows(file_id)] == [{}, {}]
    assert not list(recipient_files.bad_rows(file_id))
    assert not recipient_files.row_errors(file_id, 9)
    assert len(sent_messages()) == 2
    assert problems(file_id) == {
        "audience": "The values in this file were deleted after 30 days. Upload the file again."
    }


def test_values_are_kept_while_a_send_needs_them(file_id: int) -> None:
    create(file_id)
    recipient_file_retention.delete_old_values(lambda: scenario.now_ms() + MAX_AGE_MS + DAY_MS)
    assert [bool(row.data) for row in recipient_files.good_rows(file_id)] == [True, True]


def test_values_are_kept_for_thirty_days(file_id: int) -> None:
    recipient_file_retention.delete_old_values(lambda: scenario.now_ms() + MAX_AGE_MS - DAY_MS)
    assert [bool(row.data) for row in recipient_files.good_rows(file_id)] == [True, True]


def test_send_cannot_begin_with_values_that_are_about_to_be_deleted(file_id: int) -> None:
    with pytest.raises(InvalidInput, match="deleted after 30 days"):
        create(file_id, scenario.now_ms() + MAX_AGE_MS + 1_000)
    assert db.session.query(Send).count() == 0

"""The pages on which schedules are made, changed and controlled."""

import re
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from flask import Flask
from sqlalchemy import func, select

from portal.accounts.tables.accounts import Account
from portal.content.message_templates import TemplateDraft, create_template
from portal.core.audit_log import record_audit_entry
from portal.core.clock import now_ms
from portal.core.extensions import db
from portal.core.transaction import transaction
from portal.schedules.tables.schedules import Schedule
from portal.sends.tables.sends import Send
from tests.support.html_checks import find_page_problems
from tests.support.page_queries import audit_entries, visible_text
from tests.support.schedules.schedule_scenario import add_date_attribute, add_person, set_date
from tests.support.web_client import NOW_MS, WebClient

_TODAY = datetime.now(UTC).date()
_NEXT_WEEK = datetime.now(UTC).date() + timedelta(days=7)
_ENTERED = {
    "template": "due",
    "form_id": "one-form",
    "name": "Weekly reminder",
    "audience_type": "all",
    "data.fee": "5 USD",
    "kind": "once",
    "starts_on": str(_NEXT_WEEK),
    "time": "09:00",
    "zone": "America/New_York",
    "late": "send",
    "late_hours": "24",
}


@pytest.fixture(autouse=True)
def template(web_app: Flask) -> None:
    with web_app.app_context():
        create_template(TemplateDraft("due", "Due", "Pay {{ data.fee }}", "Hello.", False, True), None, NOW_MS)


def _add_schedule(admin: WebClient, **changes: str) -> str:
    response = admin.post("/Admin/Schedules", **{**_ENTERED, **changes})
    assert response.status_code == 303, visible_text(response.text)
    return response.location


def _count_sends(app: Flask) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count(Send.id))) or 0


def test_a_saved_schedule_shows_its_next_run_with_counts(admin: WebClient, sms_enabled: None) -> None:
    page = admin.get(_add_schedule(admin))
    assert find_page_problems(page.text) == []
    words = visible_text(page.text)
    assert "at 9:00 AM (America/New_York)" in words
    assert "4 emails and 1 text" in words
    listing = visible_text(admin.get("/Admin/Schedules").text)
    assert "Weekly reminder" in listing


def test_next_run_counts_people_without_a_needed_value_apart(web_app: Flask, admin: WebClient) -> None:
    with web_app.app_context():
        owner_id = db.session.scalars(select(Account.id).where(Account.external_id == "P-1")).one()
        set_date(owner_id, _NEXT_WEEK, add_date_attribute())
        create_template(TemplateDraft("until", "Until", "Until {{ expires_on }}", "Hello."), None, NOW_MS)
    path = _add_schedule(admin, template="until")
    assert "1 email · 3 people get nothing" in visible_text(admin.get(path).text)
    page = admin.get(f"{path}/next").text
    assert "3 people get nothing, because the template needs values" in visible_text(page)
    assert find_page_problems(page) == []


def test_the_list_counts_for_a_limited_time(admin: WebClient, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("First", "Second"):
        _add_schedule(admin, name=name, form_id=name)
    monkeypatch.setattr("portal.web.admin.sends.schedule_pages.monotonic", count(step=1).__next__)
    page = admin.get("/Admin/Schedules")
    assert find_page_problems(page.text) == []
    assert len(re.findall(r'data-label="Emails" class="number">\d', page.text)) == 0
    assert page.text.count(">Count</a>") == 2
    monkeypatch.undo()
    assert len(re.findall(r'data-label="Emails" class="number">\d', admin.get("/Admin/Schedules").text)) == 2


def test_a_double_click_saves_one_schedule(admin: WebClient) -> None:
    assert _add_schedule(admin) == _add_schedule(admin)


def test_back_and_another_date_changes_the_schedule(web_app: Flask, admin: WebClient) -> None:
    later = str(_NEXT_WEEK + timedelta(days=1))
    first = _add_schedule(admin)
    assert first == _add_schedule(admin, starts_on=later) == _add_schedule(admin, starts_on=later)
    with web_app.app_context():
        assert [schedule.timing["starts_on"] for schedule in db.session.scalars(select(Schedule))] == [later]
    assert first == _add_schedule(admin)
    with web_app.app_context():
        assert db.session.get_one(Schedule, 1).timing["starts_on"] == str(_NEXT_WEEK)


def test_back_does_not_undo_what_somebody_else_has_changed(web_app: Flask, admin: WebClient) -> None:
    _add_schedule(admin)
    with web_app.app_context(), transaction() as session:
        session.get_one(Schedule, 1).changed_by_id = None
    response = admin.post("/Admin/Schedules", **{**_ENTERED, "name": "Mine"})
    assert response.status_code == 422
    assert "Somebody changed this schedule" in response.text


@pytest.mark.parametrize(
    ("changes", "field", "sentence"),
    [
        ({"name": ""}, "name", "Enter a name."),
        ({"starts_on": "2027-02-30"}, "starts_on", "a date that exists"),
        ({"starts_on": "2020-01-01"}, "starts_on", "has passed"),
        ({"zone": "Mars/Olympus"}, "zone", "no such time zone"),
        ({"time": "25:00"}, "time", "a time of day"),
        ({"kind": ""}, "kind", "Choose when"),
        ({"kind": "recurring", "repeat": "custom", "rrule": "FREQ=HOURLY"}, "rrule", "FREQ=DAILY"),
        (
            {"kind": "recurring", "repeat": "custom", "rrule": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"},
            "rrule",
            "never comes true",
        ),
        ({"kind": "recurring", "repeat": "daily", "ends": "on", "ends_on": "2020-01-01"}, "ends_on", "never run"),
        ({"kind": "relative", "attribute": "", "offsets": "7"}, "attribute", "Choose the date"),
        ({"late_hours": "many"}, "late_hours", "whole number of hours"),
        ({"data.fee": ""}, "data.fee", "needs a value"),
        ({"audience_type": "external_ids", "external_ids": "P-99"}, "audience", "P-99"),
    ],
)
def test_a_problem_is_told_at_its_field_and_nothing_is_lost(
    web_app: Flask, admin: WebClient, changes: dict[str, str], field: str, sentence: str
) -> None:
    response = admin.post("/Admin/Schedules", **{**_ENTERED, **changes, "name": changes.get("name", "My <name>")})
    assert response.status_code == 422
    assert find_page_problems(response.text) == []
    assert f'href="#field-{field}"' in response.text
    assert sentence in visible_text(response.text)
    for value in changes.values():
        assert value in response.text
    with web_app.app_context():
        assert db.session.scalar(select(func.count(Schedule.id))) == 0


def test_the_second_of_two_editors_keeps_what_was_entered(admin: WebClient) -> None:
    path = _add_schedule(admin)
    assert admin.post(path, **{**_ENTERED, "name": "First", "base_version": "1"}).status_code == 303
    late = admin.post(path, **{**_ENTERED, "name": "Second", "base_version": "1"})
    assert late.status_code == 422
    assert "Somebody changed this schedule" in late.text
    assert 'value="Second"' in late.text
    assert admin.post(path, **{**_ENTERED, "name": "Second", "base_version": "2"}).status_code == 303


def test_the_form_of_a_send_leads_to_a_schedule_with_its_values(admin: WebClient) -> None:
    entered = {"template": "due", "audience_type": "external_ids", "external_ids": "P-1", "data.fee": "7 USD"}
    page = admin.post("/Admin/Schedules/new", **entered).text
    assert find_page_problems(page) == []
    assert re.search(r'value="external_ids" checked', page)
    assert "P-1" in page
    assert 'value="7 USD"' in page


def test_a_template_offers_to_send_later(admin: WebClient) -> None:
    page = admin.get("/Admin/Automations/Templates/1").text
    assert 'href="/Admin/Schedules/new?template=due"' in page
    assert re.search(r'value="relative" checked', admin.get("/Admin/Schedules/new?template=due&when=relative").text)


def test_a_template_of_a_schedule_is_not_archived(web_app: Flask, admin: WebClient) -> None:
    path = _add_schedule(admin)
    admin.post("/Admin/Automations/Templates/1/archive")
    assert "schedule “Weekly reminder”" in admin.get("/Admin/Automations/Templates/1").text
    admin.post(f"{path}/end")
    admin.post("/Admin/Automations/Templates/1/archive")
    with web_app.app_context():
        assert db.session.get_one(Schedule, 1).template.archived_at_ms


def test_a_run_sent_early_is_a_send_that_names_its_schedule(web_app: Flask, admin: WebClient) -> None:
    path = _add_schedule(admin)
    key = re.findall(r'name="key" value="([^"]+)"', admin.get(f"{path}/next").text)[0]
    response = admin.post(f"{path}/run", key=key)
    assert "by the schedule Weekly reminder" in visible_text(admin.get(response.location).text)
    again = admin.post(f"{path}/run", key=key)
    assert again.location == path
    assert _count_sends(web_app) == 1


@pytest.mark.parametrize(("state", "label"), [("awaiting_approval", "Needs approval"), ("canceled", "Canceled")])
def test_a_run_is_not_called_sent_before_its_send_is(web_app: Flask, admin: WebClient, state: str, label: str) -> None:
    path = _add_schedule(admin, late="skip")
    key = re.findall(r'name="key" value="([^"]+)"', admin.get(f"{path}/next").text)[0]
    admin.post(f"{path}/run", key=key)
    with web_app.app_context(), transaction() as session:
        session.get_one(Send, 1).state = state
    for page in (path, f"/Admin/Schedules/Month?month={datetime.now(UTC):%Y-%m}"):
        words = visible_text(admin.get(page).text)
        assert label in words
        assert "Sent" not in words.split()


@pytest.mark.parametrize(
    ("action", "label", "detail"),
    [("send_declined", "Declined", {"reason": "Wrong <date>"}), ("send_withdrawn", "Withdrawn", {})],
)
def test_a_run_whose_send_was_declined_or_withdrawn_says_who_and_why(
    web_app: Flask, admin: WebClient, action: str, label: str, detail: dict[str, str]
) -> None:
    path = _add_schedule(admin)
    admin.post(f"{path}/run", key=str(_NEXT_WEEK))
    with web_app.app_context(), transaction() as session:
        session.get_one(Send, 1).state = "canceled"
        record_audit_entry(action, "send 1", 5, now_ms(), **detail)
        record_audit_entry("send_archived", "send 1", 5, now_ms())
    page = admin.get(path).text
    ending = f"{label} just now by Name of A-1" + (": Wrong &lt;date&gt;" if detail else "")
    assert ending in visible_text(page)
    assert find_page_problems(page) == []
    assert label in visible_text(admin.get(f"/Admin/Schedules/Month?month={_TODAY:%Y-%m}").text)


def test_a_skipped_run_is_listed(web_app: Flask, admin: WebClient) -> None:
    path = _add_schedule(admin, kind="recurring", repeat="daily")
    key = re.findall(r'name="key" value="([^"]+)"', admin.get(f"{path}/next").text)[0]
    admin.post(f"{path}/skip", key=key)
    assert "Skipped" in visible_text(admin.get(path).text)
    assert _count_sends(web_app) == 0
    assert ("schedule_run_skipped", "schedule Weekly reminder") in audit_entries(web_app)


def test_pausing_resuming_and_ending_are_audited(web_app: Flask, admin: WebClient) -> None:
    path = _add_schedule(admin, kind="recurring", repeat="daily")
    for verb, words in (("pause", "Paused"), ("resume", "Active"), ("end", "Ended")):
        admin.post(f"{path}/{verb}")
        assert words in visible_text(admin.get(path).text)
    actions = [action for action, subject in audit_entries(web_app) if subject == "schedule Weekly reminder"]
    assert actions == ["schedule_created", "schedule_paused", "schedule_resumed", "schedule_ended"]
    assert admin.get(f"{path}/edit").status_code == 303


def test_a_schedule_on_dates_tells_its_rule_and_counts_people(web_app: Flask, admin: WebClient) -> None:
    with web_app.app_context():
        set_date(add_person("D-1"), _NEXT_WEEK, add_date_attribute())
    path = _add_schedule(admin, kind="relative", attribute="expires_on", offsets="3, 1")
    words = visible_text(admin.get(path).text)
    assert "Expires on: 3 and 1 days before, at 9:00 AM in each person’s time zone" in words
    assert "A date that moves by 180 days or more" in words
    assert "1 email" in words
    assert "1 person" in words
    assert find_page_problems(admin.get(f"{path}/edit").text) == []


@pytest.mark.parametrize("month", ["", "nonsense", "0000-00", "9999-12"])
def test_an_impossible_month_is_this_month(admin: WebClient, month: str) -> None:
    assert f"{datetime.now(UTC):%B}" in admin.get(f"/Admin/Schedules/Month?month={month}").text


def test_a_month_without_runs_says_so(admin: WebClient) -> None:
    assert "Nothing runs in this month." in admin.get("/Admin/Schedules/Month?month=2001-01").text


def test_the_month_shows_what_runs_on_which_day(admin: WebClient) -> None:
    path = _add_schedule(admin)
    page = admin.get(f"/Admin/Schedules/Month?month={_NEXT_WEEK:%Y-%m}")
    assert find_page_problems(page.text) == []
    assert f'href="{path}">Weekly reminder</a>' in page.text


def test_a_schedule_with_a_rule_that_cannot_be_used_hides_no_other(web_app: Flask, admin: WebClient) -> None:
    for name in ("Broken", "Sound"):
        _add_schedule(admin, kind="recurring", repeat="custom", rrule="FREQ=MONTHLY", name=name, form_id=name)
    with web_app.app_context(), transaction() as session:
        broken = session.get_one(Schedule, 1)
        broken.timing = broken.timing | {"rrule": "FREQ=MONTHLY;BYDAY=1MO,10MO"}
    for path in ("", "/Month", f"/Month?month={_NEXT_WEEK:%Y-%m}", "/1", "/1/edit"):
        page = admin.get(f"/Admin/Schedules{path}")
        assert page.status_code == 200
        assert path.startswith("/1") or path == "/Month" or "Sound" in page.text


def test_an_unknown_schedule_is_404(admin: WebClient) -> None:
    for path in ("", "/edit", "/next", "/end"):
        assert admin.get(f"/Admin/Schedules/99{path}").status_code == 404
    for verb in ("pause", "resume", "end", "skip", "run"):
        assert admin.post(f"/Admin/Schedules/99/{verb}").status_code == 404

"""Topics: administrators declare them, and people choose what they are texted about."""

import re

import pytest
from flask import Flask

from portal.accounts.tables.accounts import find_by_external_id
from portal.content.message_templates import TemplateDraft, create_template
from portal.content.tables.topics import topics_off
from portal.sends.fan_out import fan_out_send
from portal.sends.send_creation import create_send
from tests.support.html_checks import find_page_problems
from tests.support.web_client import NOW_MS, WebClient
from tests.web.account.opt_in_helpers import current_ms, profile_path, switch_texts, visible_text

TOPICS, OWN = "/Admin/Topics", "/MyAccount/PhoneNumbers"

pytestmark = pytest.mark.usefixtures("sms_enabled")


@pytest.fixture
def template_ids(web_app: Flask) -> list[str]:
    with web_app.app_context():
        drafts = [
            TemplateDraft(key, key.capitalize(), "Hello", "Hello.", sms_enabled=True) for key in ("exams", "fees")
        ]
        return [str(create_template(draft, None, NOW_MS)) for draft in drafts]


def test_administrator_declares_and_changes_topics(admin: WebClient, template_ids: list[str]) -> None:
    exams, fees = template_ids
    rejected = admin.post(f"{TOPICS}/new", name=" ", description="When your exam is.", templates=exams)
    assert rejected.status_code == 422
    assert find_page_problems(rejected.text) == []
    assert "Enter a name, such as Exam dates." in rejected.text
    assert re.search(rf'value="{exams}" checked', rejected.text)
    assert 'value="When your exam is."' in rejected.text
    for name, template in (("Exams", exams), ("Fees", fees)):
        assert admin.post(f"{TOPICS}/new", name=name, description="About it.", templates=template).status_code == 303
    taken = admin.post(f"{TOPICS}/2", name="EXAMS", description="About it.", templates=fees)
    assert (taken.status_code, "Another topic is called “EXAMS” already." in taken.text) == (422, True)
    assert "(now in the topic Fees)" in admin.get(f"{TOPICS}/1").text
    assert admin.post(f"{TOPICS}/1", name="Exams", description="About it.", templates=fees).status_code == 303
    listing = admin.get(TOPICS).text
    assert find_page_problems(listing) == []
    assert re.search(r"Exams.*Fees.*Fees.*None, so people do not see it", visible_text(listing))
    assert admin.get(f"{TOPICS}/9").status_code == 404


def test_person_switches_off_a_topic_and_reads_why_there_was_no_text(
    web_app: Flask, admin: WebClient, number_owner: WebClient, template_ids: list[str]
) -> None:
    assert "What we text you about" not in number_owner.get(OWN).text
    admin.post(f"{TOPICS}/new", name="Exams", description="When your exam is.", templates=template_ids[0])
    admin.post(f"{TOPICS}/new", name="Unused", description="Nothing yet.")
    page = number_owner.get(OWN).text
    assert find_page_problems(page) == []
    assert ("When your exam is." in page, "Unused" in page) == (True, False)
    assert number_owner.post(f"{OWN}/Topics", shown="1").status_code == 303
    page = number_owner.get(OWN).text
    assert re.search(r'name="wanted" value="1">', page)
    assert "Your choice of topics is saved." in page
    confirmation = admin.post("/Admin/Sends/confirm", template="exams", audience_type="all", include_staff="yes").text
    assert "Texts about this topic are switched off for the account" in visible_text(confirmation)
    with web_app.app_context():
        owner = find_by_external_id("P-1")
        assert owner
        assert topics_off(owner.id) == {1}
        fan_out_send(create_send("exams", {"all": True}, {}, None, current_ms()), current_ms)
    assert "Topics without texts Exams" in visible_text(admin.get(profile_path(web_app)).text)
    listing = visible_text(number_owner.get("/MyAccount/CommunicationsHistory").text)
    assert "You had switched off texts about this topic. Choose what we text you about" in listing
    number_owner.post(f"{OWN}/Topics", shown="1", wanted="1")
    assert re.search(r'name="wanted" value="1" checked', number_owner.get(OWN).text)
    switch_texts(web_app, on=False)
    assert "What we text you about" not in number_owner.get(OWN).text

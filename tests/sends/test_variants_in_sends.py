"""Everybody gets the words of the language that they have chosen, or else the template's own, as was counted before."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from portal.accounts.tables.accounts import Account
from portal.content import rendering, template_words
from portal.content.message_templates import TemplateDraft
from portal.content.rules.markdown_literals import unmark_literals
from portal.content.tables.templates import find_template, find_template_version
from portal.content.template_words import TemplateWords
from portal.core.errors import InvalidInput
from portal.core.extensions import db
from portal.messages.tables.communications import Communication, Delivery
from portal.sends import fan_out, send_creation, send_preview
from portal.sends.authoring.draft_sending import send_draft
from portal.sends.authoring.template_comparison import text_totals
from portal.sends.authoring.template_preview import preview_for, recipient_with_longest_subject
from portal.sends.send_preview import EVERYBODY, IN_LANGUAGE, TEXTED, UNTRANSLATED
from portal.sends.tables.past_recipients import find_recipient
from portal.sends.tables.recipient_files import bad_rows
from portal.settings import setting_changes
from portal.settings.rules.installation_settings import LANGUAGE
from tests.support import scenario, servers
from tests.support.spreadsheets.recipient_file_scenario import add_exam_template, upload_checked

ALL = {"all": True}
SPANISH = TemplateWords("es", "Ω su renovación, {{ first_name }}, el {{ data.day }} de este mes", "Para {{ name }}")


@pytest.fixture(autouse=True)
def people(app: Flask) -> None:
    """P-0 to P-5 get texts; P-1, P-3, P-5, P-7 have chosen Spanish, and P-2 a language of a later release."""
    scenario.configure_gateway()
    scenario.create_accounts(8, with_sms=6)
    choose("es", "P-1", "P-3", "P-5", "P-7")
    choose("xx", "P-2")


def choose(language: str, *external_ids: str) -> None:
    db.session.execute(update(Account).where(Account.external_id.in_(external_ids)).values(language=language))
    db.session.commit()


def send(key: str = "renewal", **data: str) -> int:
    send_id = send_creation.create_send(key, ALL, data, None, scenario.now_ms())
    fan_out.fan_out_send(send_id, scenario.now_ms)
    return send_id


def account(external_id: str) -> int:
    return db.session.scalars(select(Account.id).where(Account.external_id == external_id)).one()


def people_of(count: str, key: str = "renewal", limit: int = 99, after_id: int = 0) -> list[str]:
    template = find_template(key)
    assert template
    values = find_template_version(template), ALL, {"day": "1"}
    rows = send_preview.people_behind(*values, count, after_id, limit, scenario.now_ms())
    return [row.external_id for row in rows]


def test_everybody_gets_the_words_of_their_language() -> None:
    scenario.add_template(subject="Due {{ data.day }}, {{ first_name }}", variants=(SPANISH,))
    send(day="1")
    rows = db.session.execute(
        select(Account.external_id, Communication.language, Communication.subject, Communication.body)
        .join(Communication.account)
        .order_by(Account.id)
    ).all()
    assert [row.language for row in rows] == [None, "es", None, "es", None, "es", None, "es"]
    assert rows[0].subject == "Due 1, Person"
    assert rows[1].subject == "Ω su renovación, Person, el 1 de este mes"
    assert unmark_literals(rows[1].body) == "Para Person 1"


def test_dates_are_written_in_the_language_of_the_words() -> None:
    scenario.add_template(
        subject="Due {{ data.day | date }}", variants=(TemplateWords("es", "{{ data.day | date }}", "B"),)
    )
    send(day="2027-05-28")
    subjects = set(db.session.scalars(select(Communication.subject)))
    assert subjects == {"Due May 28, 2027", "28 de mayo de 2027"}


def test_counts_and_segments_are_those_of_each_language() -> None:
    scenario.add_template(subject="Due {{ data.day }}", variants=(SPANISH,))
    plan = send_creation.plan_send("renewal", ALL, {"day": "1"}, scenario.now_ms())
    assert [(part.language, part.emails, part.texts) for part in plan.by_language] == [("en", 4, 3), ("es", 4, 3)]
    assert (plan.emails, plan.texts, plan.untranslated) == (8, 6, {})
    send(day="1")
    assert plan.segments == db.session.scalar(select(func.sum(Delivery.segments)))
    assert plan.segments_are_exact
    assert people_of(f"{IN_LANGUAGE}es") == ["P-1", "P-3", "P-5", "P-7"]
    assert people_of(f"{IN_LANGUAGE}en") == ["P-0", "P-2", "P-4", "P-6"]
    assert people_of(TEXTED, limit=3, after_id=account("P-1")) == ["P-2", "P-3", "P-4"]
    assert people_of(EVERYBODY) == [f"P-{index}" for index in range(8)]


def test_who_has_chosen_no_known_language_gets_that_of_the_portal() -> None:
    setting_changes.set_setting(LANGUAGE, "es", None, scenario.now_ms())
    choose("", "P-0")
    choose("en", "P-4", "P-6")
    scenario.add_template(subject="Due {{ data.day }}", variants=(SPANISH,))
    plan = send_creation.plan_send("renewal", ALL, {"day": "1"}, scenario.now_ms())
    assert [(part.language, part.emails) for part in plan.by_language] == [("en", 2), ("es", 6)]
    send(day="1")
    rows = db.session.execute(select(Communication.language, func.count()).group_by(Communication.language))
    assert {language: people for language, people in rows} == {None: 2, "es": 6}


def test_people_whose_language_is_missing_are_counted() -> None:
    scenario.add_template()
    plan = send_creation.plan_send("renewal", ALL, {}, scenario.now_ms())
    assert (plan.by_language, plan.untranslated) == ([], {"es": 4})
    assert people_of(f"{UNTRANSLATED}es") == ["P-1", "P-3", "P-5", "P-7"]
    scenario.save_template(variants=(SPANISH._replace(subject="Vence"),))
    assert people_of(f"{UNTRANSLATED}es") == []


def test_words_that_are_the_same_for_all_are_filled_in_once_per_language(monkeypatch: pytest.MonkeyPatch) -> None:
    scenario.add_template(subject="Due", body="Body {{ data.day }}", variants=(TemplateWords("es", "Vence", "Cuerpo"),))
    rendering._render_for_all.cache_clear()
    filled = Counter[str]()

    def fill_in(words: TemplateWords, values: Mapping[str, Any]) -> tuple[str, str]:
        filled[words.subject] += 1
        return template_words.fill_in(words, values)

    monkeypatch.setattr(rendering, "fill_in", fill_in)
    send(day="1")
    assert filled == {"Due": 1, "Vence": 1}


def test_send_keeps_the_variants_of_its_version() -> None:
    scenario.add_template(variants=(TemplateWords("es", "Primera", "Uno"),))
    send_id = send_creation.create_send("renewal", ALL, {}, None, scenario.now_ms())
    scenario.save_template(variants=(TemplateWords("es", "Segunda", "Dos"),))
    fan_out.fan_out_send(send_id, scenario.now_ms)
    assert set(db.session.scalars(select(Communication.subject).where(Communication.language == "es"))) == {"Primera"}


def test_values_are_tried_in_every_language() -> None:
    variant = TemplateWords("es", "{{ data.day | date }}", "Cuerpo")
    scenario.add_template(subject="Due {{ data.day }}", variants=(variant,))
    with pytest.raises(InvalidInput) as refused:
        send_creation.plan_send("renewal", ALL, {"day": "soon"}, scenario.now_ms())
    assert list(refused.value.errors) == ["data.day"]


def test_row_of_a_recipient_file_is_checked_in_the_language_of_its_person() -> None:
    add_exam_template("{{ data.day }}", "Exam")
    variant = TemplateWords("es", "Examen", "{{ data.day | date }}")
    scenario.save_template("exam", variants=(variant,))
    file_id = upload_checked("external_id,day\nP-0,soon\nP-1,soon\nP-3,2027-05-28\n")
    assert [(row.external_id, error.column_label) for row, (error,) in bad_rows(file_id)] == [("P-1", "B, day")]
    assert send_creation.plan_send("exam", {"recipient_file": file_id}, {}, scenario.now_ms()).emails == 2


def test_preview_and_longest_subject_follow_the_language_of_the_person() -> None:
    draft = TemplateDraft("x", "X", "Due", "Body", sms_enabled=True, variants=(TemplateWords("es", "Vence " * 9, "B"),))
    longest = recipient_with_longest_subject(draft, None)
    assert longest
    assert (longest.external_id, preview_for(draft, longest).language) == ("P-1", "es")
    assert preview_for(draft, find_recipient(account("P-0"))).subject == "Due"
    people = [person for person in map(find_recipient, map(account, ("P-0", "P-1"))) if person]
    totals = text_totals(draft, people, None)
    assert (totals.texts, totals.shortened) == (2, 0)


def test_author_is_sent_the_draft_in_the_language_that_they_ask_for() -> None:
    draft = TemplateDraft("x", "X", "Due", "Body", sms_enabled=True, variants=(TemplateWords("es", "Vence", "B"),))
    for number, language in enumerate(("en", "es")):
        sent = send_draft(draft, account("P-1"), scenario.now_ms(), f"form-{number}", language)
        communication = db.session.get_one(Communication, sent.communication_id)
        assert communication.subject == ("[Test] Due" if language == "en" else "[Test] Vence")
        assert communication.language == language
    with pytest.raises(InvalidInput) as refused:
        send_draft(TemplateDraft("x", "X", "Due", "Body"), account("P-1"), scenario.now_ms(), "form-3", "es")
    assert list(refused.value.errors) == ["subject_es"]


def test_email_says_in_which_language_its_words_are(simulator: servers.SimulatorClient) -> None:
    scenario.add_template(variants=(TemplateWords("es", "Vence", "Hola"),))
    send()
    scenario.run_email_worker()
    emails = {email["to"][0]: email["html"] for email in simulator.received_emails()}
    assert '<h1 lang="es"' in emails["p1@example.org"]
    assert '<h1 lang="en"' in emails["p0@example.org"]

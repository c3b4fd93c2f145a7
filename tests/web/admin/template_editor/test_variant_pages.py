"""The words of a template in another language: written beside the English ones, and missed where they matter."""

import re
from dataclasses import replace

import pytest
from flask import Flask
from sqlalchemy import select, update

from portal.accounts.tables.accounts import Account
from portal.content.tables.templates import TemplateVariant
from portal.core.extensions import db
from portal.core.translation import language_named
from portal.messages.tables.communications import Communication
from portal.sends.fan_out import fan_out_send
from tests.support.html_checks import find_page_problems
from tests.support.page_queries import app_transaction, visible_text
from tests.support.web_client import WebClient

URL = "/Admin/Automations/Templates"
ENGLISH = {"name": "Renewal", "subject": "Due, {{ name }}", "body": "Pay {{ data.fee }}.", "sms_enabled": "yes"}
SPANISH = {"subject_es": "Vence, {{ name }}", "body_es": "Pague {{ data.fee }}."}
BOTH = ENGLISH | SPANISH
CONFIRM = {"template": "renewal", "audience_type": "all", "include_staff": "yes", "data.fee": "12"}


@pytest.fixture
def editor(web_app: Flask, admin: WebClient, sms_enabled: None) -> str:
    """The address of a template in two languages; Olive Owner has chosen Spanish."""
    with app_transaction(web_app):
        db.session.execute(update(Account).where(Account.external_id == "P-1").values(language="es"))
    return admin.post(f"{URL}/new", key="renewal", **BOTH).headers["Location"]


def publish(admin: WebClient, editor: str, version: str = "1", **fields: str) -> str:
    response = admin.post(editor, base_version=version, **fields)
    assert response.status_code == 303, response.text
    return response.text


def _id_of(app: Flask, external_id: str) -> int:
    with app.app_context():
        return db.session.scalars(select(Account.id).where(Account.external_id == external_id)).one()


def preview(admin: WebClient, **fields: str) -> str:
    own = {"csrf_token": admin.csrf_token(), "template_id": "1"}
    return visible_text(admin.post_without_token(f"{URL}/preview", {**own, **BOTH, **fields}, HX_Request="true").text)


def test_editor_shows_the_words_in_each_language(admin: WebClient, editor: str) -> None:
    page = admin.get(editor).text
    assert 'value="Vence, {{ name }}"' in page
    assert "Pague {{ data.fee }}." in page
    assert 'data-insert-into="field-body_es"' in page
    assert "not written yet" not in page
    assert find_page_problems(page) == []
    publish(admin, editor, **ENGLISH, subject_es="", body_es="")
    assert "not written yet" in admin.get(editor).text


def test_preview_is_in_the_language_of_the_person(web_app: Flask, admin: WebClient, editor: str) -> None:
    olive = preview(admin, step="find", find="olive")
    assert "In Spanish, which this person reads." in olive
    assert "Vence, Olive Owner" in olive
    assert "In English, which this person reads." in preview(admin, step="find", find="stan")
    assert "gets English, because the template has no words in Spanish" in preview(
        admin, step="find", find="olive", subject_es="", body_es=""
    )
    web_app.config["PORTAL"] = replace(web_app.config["PORTAL"], language="es")
    admin.post("/Language", language="en", next="/")
    assert "This person reads Spanish and gets English" in preview(
        admin, step="find", find="stan", subject_es="", body_es=""
    )


def test_sample_person_is_shown_in_either_language(admin: WebClient, editor: str) -> None:
    assert "Due, Jordan Rivera" in preview(admin)
    assert "Vence, Jordan Rivera" in preview(admin, step="sample-in-es")
    assert "Vence, Jordan Rivera" in preview(admin, language="es")
    framed = admin.post(f"{URL}/preview/email", language="es", **BOTH).text
    assert "Pague [fee]." in framed


def test_fields_that_a_language_lacks_are_named(admin: WebClient, editor: str) -> None:
    assert "The words in Spanish lack name, data.fee, which another language has." in preview(
        admin, subject_es="Vence", body_es="Pague."
    )


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ({"subject_es": "Vence", "body_es": ""}, "Enter the body in Spanish too"),
        ({"subject_es": "", "body_es": "Pague."}, "Enter the subject in Spanish too"),
        ({"subject_es": "Vence", "body_es": "{{ data.room }}"}, "The English words do not have data.room"),
        ({"subject_fr": "Fini", "body_fr": "Payez."}, "The portal has no language “fr”."),
    ],
)
def test_refused_words_stay_on_the_page(admin: WebClient, editor: str, typed: dict[str, str], problem: str) -> None:
    response = admin.post(editor, base_version="1", **ENGLISH | typed)
    assert response.status_code == 422
    assert problem in response.text
    for text in filter(None, typed.values()):
        assert text in response.text
    assert find_page_problems(response.text) == []
    assert "version 1" in admin.get(editor).text


def test_words_in_a_language_that_the_portal_no_longer_has_are_shown_until_they_are_removed(
    web_app: Flask, admin: WebClient, editor: str
) -> None:
    with app_transaction(web_app):
        db.session.execute(update(TemplateVariant).values(language="fr"))
    page = admin.get(editor).text
    assert 'name="subject_fr"' in page
    assert "The portal has no language “fr”." in admin.get(f"{editor}/versions/1").text
    assert "The portal has no language “fr”." in admin.post(editor, base_version="1", **ENGLISH).text
    refused = admin.post(editor, base_version="1", **ENGLISH, subject_fr="Vence, {{ name }}", body_fr="Pague.")
    assert "The portal has no language “fr”." in refused.text
    publish(admin, editor, **ENGLISH, subject_fr="", body_fr="")
    assert 'name="subject_fr"' not in admin.get(editor).text


def test_frame_of_the_email_is_in_the_language_of_its_reader(web_app: Flask, admin: WebClient, editor: str) -> None:
    olive = str(_id_of(web_app, "P-1"))
    button = language_named("es").catalog.gettext("View it in the portal")
    for frame in (
        admin.post(f"{URL}/preview/email", recipient=olive, **BOTH).text,
        admin.post(f"{URL}/preview/email", language="es", **BOTH).text,
        admin.get(f"{editor}/email?recipient={olive}").text,
    ):
        assert button in frame
        assert '<html lang="es"' in frame
    assert button not in admin.post(f"{URL}/preview/email", **BOTH).text


def test_words_are_removed_on_the_page_before_they_are_published(web_app: Flask, admin: WebClient, editor: str) -> None:
    page = admin.post(f"{URL}/preview", step="remove-es", template_id="1", **BOTH).text
    assert "Vence, {{ name }}" not in page
    assert "not written yet" in page
    assert 'data-unsaved="kept"' in page
    publish(admin, editor, **ENGLISH, subject_es="", body_es="")
    with web_app.app_context():
        assert [row.template_version_id for row in db.session.scalars(select(TemplateVariant))] == [1]


def test_page_of_the_previous_release_removes_no_words(admin: WebClient, editor: str) -> None:
    publish(admin, editor, **ENGLISH)
    assert 'value="Vence, {{ name }}"' in admin.get(editor).text


def test_conflict_keeps_the_words_of_both(admin: WebClient, sysadmin: WebClient, editor: str) -> None:
    publish(admin, editor, **BOTH | {"body_es": "Uno."})
    late = sysadmin.post(editor, base_version="1", **BOTH | {"body_es": "Dos."})
    assert late.status_code == 422
    assert "Somebody saved version 2" in late.text
    assert "Dos." in late.text
    publish(sysadmin, editor, "2", **BOTH | {"body_es": "Dos."})
    comparison = visible_text(admin.get(f"{editor}/compare?from=2&to=3").text)
    assert "[removed: Uno." in comparison
    assert "[added: Dos." in comparison


def test_restored_version_brings_back_its_variant(admin: WebClient, editor: str) -> None:
    publish(admin, editor, **ENGLISH, subject_es="", body_es="")
    old = admin.get(f"{editor}/versions/1").text
    assert "Source in Spanish" in old
    assert "[added: Vence, " in visible_text(old)
    assert find_page_problems(old) == []
    admin.post(f"{editor}/versions/1/restore", base_version="2")
    assert 'value="Vence, {{ name }}"' in admin.get(editor).text


def test_list_says_in_which_languages_templates_are(admin: WebClient, editor: str) -> None:
    admin.post(f"{URL}/new", key="notice", name="Notice", subject="Notice", body="Body")
    page = visible_text(admin.get(URL).text)
    assert "English, Spanish" in page
    assert "English only" in page
    assert ">Renewal<" in admin.get(f"{URL}?q=vence").text


def test_author_is_sent_the_words_of_the_section(web_app: Flask, admin: WebClient, editor: str) -> None:
    for step in ("es", ""):
        (saved_ms,) = re.findall(r'name="draft_saved_ms" id=[^>]*value="(\d+)"', admin.get(editor).text)
        own = {"base_version": "1", "draft_saved_ms": saved_ms, "form_id": "one"}
        assert admin.post(f"{editor}/draft/send", step=step, **own, **BOTH).status_code == 303
    with web_app.app_context():
        subjects = db.session.scalars(select(Communication.subject).order_by(Communication.id)).all()
    assert [subject.partition(",")[0] for subject in subjects] == ["[Test] Vence", "[Test] Due"]


def test_confirmation_counts_each_language(admin: WebClient, editor: str) -> None:
    page = admin.post("/Admin/Sends/confirm", **CONFIRM).text
    assert "In Spanish: 1" in visible_text(page)
    assert "In English: 5" in visible_text(page)
    people = admin.post("/Admin/Sends/people", people="language:es", **CONFIRM).text
    assert "Everybody who gets it in Spanish" in people
    assert "Olive Owner" in people
    assert "Stan Stranger" not in people


def test_confirmation_says_who_gets_english_instead(admin: WebClient, editor: str) -> None:
    publish(admin, editor, **ENGLISH, subject_es="", body_es="")
    page = admin.post("/Admin/Sends/confirm", **CONFIRM).text
    assert "1 (show the people) person who reads Spanish gets this in English. Write it in Spanish" in (
        visible_text(page)
    )
    assert f'href="{editor}#field-subject_es"' in page
    assert find_page_problems(page) == []
    people = visible_text(admin.post("/Admin/Sends/people", people="untranslated:es", **CONFIRM).text)
    assert "Olive Owner" in people
    assert admin.post("/Admin/Sends/people", people="untranslated:fr", **CONFIRM).status_code == 404


def test_page_of_a_communication_names_its_language(web_app: Flask, admin: WebClient, editor: str) -> None:
    page = admin.post("/Admin/Sends/confirm", **CONFIRM).text
    fields = dict(re.findall(r'<input type="hidden" name="([\w.]+)" value="([^"]*)">', page))
    admin.post("/Admin/Sends", **fields)
    with web_app.app_context():
        fan_out_send(1, lambda: 2**45)
        ids = dict(db.session.execute(select(Account.external_id, Communication.id).join(Communication.account)).all())
    assert "Language Spanish" in visible_text(admin.get(f"/Admin/Communications/{ids['P-1']}").text)
    assert "Language" not in visible_text(admin.get(f"/Admin/Communications/{ids['P-2']}").text)


def test_long_words_in_an_unknown_language_are_refused_and_kept(admin: WebClient, editor: str) -> None:
    response = admin.post(f"{editor}/draft", base_version="1", **ENGLISH, subject_fr="x" * 251, body_fr="y")
    assert response.status_code == 422
    assert "Use 250 characters or fewer. You have used 251." in response.text
    assert "x" * 251 in response.text

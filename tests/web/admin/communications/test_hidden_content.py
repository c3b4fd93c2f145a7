"""Administrators cannot read what a sensitive template said, and nobody reads what has expired."""

import re

import pytest
from flask import Flask
from sqlalchemy import delete, update

from portal.content.message_templates import draft_of, save_template
from portal.content.tables.templates import Template, find_template_version
from portal.core.extensions import db
from portal.messages.tables.communications import Communication, Delivery
from tests.support.web_client import NOW_MS, WebClient

EDITOR = "/Admin/Automations/Templates/1"


def own_fields(page: str) -> dict[str, str]:
    """What the editor sends unchanged."""
    names = ("form_id", "template_id", "base_version", "draft_saved_ms")
    values = {name: re.search(rf'name="{name}"[^>]* value="([^"]*)"', page) for name in names}
    return {name: match[1] for name, match in values.items() if match}


def publish(admin: WebClient, **fields: str) -> None:
    page = admin.get(EDITOR).text
    content = {"name": "Notice", "subject": "Notice for {{ name }}", "body": "Hello **{{ name }}**.", "tags": ""}
    response = admin.post(EDITOR, **own_fields(page), **content, priority="normal", **fields)
    assert response.status_code == 303


def test_content_of_a_sensitive_template_is_only_for_its_recipient(
    admin: WebClient, number_owner: WebClient, sent_communications: dict[str, int]
) -> None:
    address, own_id = "/Admin/Communications", sent_communications["P-1"]
    assert admin.get(f"{address}/{own_id}/email").status_code == 200
    publish(admin, sensitive="yes")
    page = admin.get(f"{address}/{own_id}").text
    assert "The content is hidden, because the template is sensitive." in page
    assert "mail-frame" not in page
    assert admin.get(f"{address}/{own_id}/email").status_code == 404
    assert "Hello <strong>" in number_owner.get(f"/MyAccount/CommunicationsHistory/{own_id}").text


@pytest.mark.usefixtures("sent_communications")
def test_sensitive_template_stays_sensitive(web_app: Flask, admin: WebClient) -> None:
    publish(admin, sensitive="yes")
    assert re.search(r'name="sensitive" value="yes" checked disabled', admin.get(EDITOR).text)
    publish(admin)
    with web_app.app_context():
        template = db.session.get_one(Template, 1)
        assert template.sensitive
        save_template(1, draft_of(find_template_version(template, 1)), None, NOW_MS)
        assert db.session.get_one(Template, 1, populate_existing=True).sensitive


def test_expired_content_is_shown_as_deleted(
    web_app: Flask, admin: WebClient, number_owner: WebClient, sent_communications: dict[str, int]
) -> None:
    with web_app.app_context():
        db.session.execute(update(Communication).values(body="", body_deleted_at_ms=NOW_MS))
        db.session.execute(delete(Delivery))
        db.session.commit()
    own_id = sent_communications["P-1"]
    page = admin.get(f"/Admin/Communications/{own_id}").text
    assert "The content of this message is no longer kept." in page
    assert "Whether it arrived is no longer kept." in page
    assert "No longer kept" in admin.get("/Admin/Communications").text
    assert "The content is no longer kept." in number_owner.get(f"/MyAccount/CommunicationsHistory/{own_id}").text

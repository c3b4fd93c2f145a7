"""Templates are archived only if nothing uses them, and fields that something provides are not lost unnoticed."""

from dataclasses import replace

import pytest
from flask import Flask

from portal.content import message_templates
from portal.content.message_templates import TemplateDraft
from portal.content.tables.templates import Template
from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.operations import template_uses
from portal.operations.template_archive import archive_template, unarchive_template
from portal.operations.template_uses import TemplateUse, affected_uses

pytestmark = pytest.mark.usefixtures("app")
NOW = 1_767_225_600_000
DRAFT = TemplateDraft("renewal", "Renewal", "Due {{ data.due }}", "Pay {{ data.fee }} {{ data.due }}")
SCHEDULE = TemplateUse("schedule “Renewals”", "/Admin/Schedules/1", frozenset({"due"}))


@pytest.fixture
def template_id(app: Flask) -> int:
    return message_templates.create_template(DRAFT, None, NOW)


def use(monkeypatch: pytest.MonkeyPatch, *uses: TemplateUse) -> None:
    monkeypatch.setattr(template_uses, "FINDERS", [lambda _template_id: uses])


def archived_at(template_id: int) -> int | None:
    db.session.expire_all()
    return db.session.get_one(Template, template_id).archived_at_ms


def test_archived_template_can_be_taken_out_again(template_id: int) -> None:
    archive_template(template_id, None, NOW)
    assert archived_at(template_id) == NOW
    unarchive_template(template_id, None, NOW + 1)
    assert archived_at(template_id) is None


def test_template_in_use_is_not_archived(template_id: int, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, SCHEDULE)
    with pytest.raises(ActionRefused, match="schedule “Renewals”"):
        archive_template(template_id, None, NOW)
    assert archived_at(template_id) is None


def test_ended_use_does_not_keep_a_template(template_id: int, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, replace(SCHEDULE, is_active=False))
    archive_template(template_id, None, NOW)
    assert archived_at(template_id) == NOW


def test_removed_field_is_listed_with_what_provides_it(template_id: int, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, SCHEDULE)
    template = db.session.get_one(Template, template_id)
    assert affected_uses(template, replace(DRAFT, subject="Due", body="Pay")) == {"due": [SCHEDULE]}
    assert affected_uses(template, replace(DRAFT, subject="Due")) == {}

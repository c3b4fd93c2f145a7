"""System administrators see what is kept and for how long, and what a change deletes before they save it."""

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from portal.core.extensions import db
from portal.messages.tables.communications import Communication
from portal.settings.app_settings import current_retention_days
from portal.settings.tables.setting_values import SettingChange
from tests.support.html_checks import find_page_problems
from tests.support.web_client import NOW_MS, WebClient

URL = "/SysAdmin/Retention"
NO_DAYS = {**dict.fromkeys(("bodies", "events", "deliveries", "inbound", "audit"), ""), "base": "- - - - -"}


@pytest.mark.usefixtures("sent_communications")
def test_change_is_shown_before_it_is_saved(web_app: Flask, sysadmin: WebClient) -> None:
    with web_app.app_context():
        db.session.execute(update(Communication).values(created_at_ms=NOW_MS - 86_400_000 * 1_000))
        db.session.commit()
    fields = {**NO_DAYS, "bodies": "90", "inbound": "60"}
    preview = sysadmin.post(URL, **fields, step="preview").text
    assert "About 6</strong> communications lose their content" in preview
    assert "texts from people lose their words:" not in preview
    assert 'name="bodies" value="90"' in preview
    assert find_page_problems(preview) == []
    with web_app.app_context():
        assert current_retention_days() == {}
    page = sysadmin.post(URL, **fields, step="save")
    assert page.headers["Location"].endswith(URL)
    assert "90 days" in sysadmin.get(URL).text
    with web_app.app_context():
        assert current_retention_days() == {"bodies": 90, "inbound": 60}
        assert db.session.scalar(select(func.count()).select_from(SettingChange)) == 2


def test_wrong_number_is_refused_at_its_field(web_app: Flask, sysadmin: WebClient) -> None:
    response = sysadmin.post(URL, **{**NO_DAYS, "bodies": "7", "audit": "100"}, step="save")
    assert response.status_code == 422
    assert "RetentionBodiesDays must be a whole number of days from 30 to 36,500" in response.text
    assert 'value="7"' in response.text
    assert 'value="100"' in response.text
    with web_app.app_context():
        assert current_retention_days() == {}


def test_change_of_somebody_else_is_not_overwritten(web_app: Flask, sysadmin: WebClient) -> None:
    """A form that was opened earlier still has the shorter time, after which records are lost."""
    assert sysadmin.post(URL, **{**NO_DAYS, "bodies": "400"}, step="save").status_code == 303
    response = sysadmin.post(URL, **{**NO_DAYS, "bodies": "90", "audit": "100"}, step="save")
    assert response.status_code == 422
    assert "Somebody changed retention while you were editing." in response.text
    assert find_page_problems(response.text) == []
    with web_app.app_context():
        assert current_retention_days() == {"bodies": 400}
    again = {**NO_DAYS, "bodies": "400", "audit": "100", "base": "400 - - - -"}
    assert sysadmin.post(URL, **again, step="save").status_code == 303
    with web_app.app_context():
        assert current_retention_days() == {"bodies": 400, "audit": 100}


def test_settings_lead_to_the_page_with_the_preview(sysadmin: WebClient) -> None:
    assert sysadmin.get("/SysAdmin/AppConfig/RetentionBodiesDays").headers["Location"].endswith(URL)

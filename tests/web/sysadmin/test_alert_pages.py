"""The page of alerts, and the banners about them."""

from flask import Flask
from sqlalchemy import select, update

from portal.core.clock import now_ms
from portal.core.extensions import db
from portal.monitoring.rules.alert_kinds import AlertKind, describe_alert
from portal.monitoring.tables.alerts import Alert, AlertNotice
from tests.support.html_checks import find_page_problems
from tests.support.page_queries import app_transaction, audit_entries, visible_text
from tests.support.pages.alerts_to_show import add_alerts_to_show
from tests.support.web_client import WebClient

PATH = "/SysAdmin/Alerts"


def show_alerts(app: Flask) -> None:
    with app_transaction(app):
        add_alerts_to_show()


def test_open_and_ended_alerts_say_what_to_do(web_app: Flask, sysadmin: WebClient, sms_enabled: None) -> None:
    show_alerts(web_app)
    page = sysadmin.get(PATH).text
    assert find_page_problems(page) == []
    text = visible_text(page)
    for kind, subject in (("failure_rate", "sms"), ("process_missing", "worker:email"), ("mail_server_away", "")):
        described = describe_alert(kind, subject)
        assert f"{described.title} " in text
        assert described.advice.replace("’", "&#39;") in text or described.advice in text
    assert "Told by 1 email." in text
    assert "The scheduler is not running" in text
    assert "Not all arrived: It did not answer in time." in text


def test_page_without_alerts_says_so(sysadmin: WebClient) -> None:
    page = visible_text(sysadmin.get(PATH).text)
    assert "Nothing is wrong." in page
    assert "No alert has ended yet." in page


def test_alert_of_a_later_version_is_shown(web_app: Flask, sysadmin: WebClient) -> None:
    with app_transaction(web_app):
        for kind, subject in (("moon_phase", "full"), ("failure_rate", "fax"), ("process_missing", "worker:fax")):
            db.session.add(Alert(kind=kind, subject=subject, started_at_ms=1, announced_at_ms=1))
    banners = visible_text(sysadmin.get("/Admin/Mode").text)
    assert "Many messages are not delivered" in banners
    assert "The worker for worker:fax is not running" in banners
    assert "Unknown alert" in visible_text(sysadmin.get(PATH).text)
    assert "Unknown alert" not in banners


def test_alert_that_is_not_announced_is_not_shown(web_app: Flask, sysadmin: WebClient) -> None:
    with app_transaction(web_app):
        db.session.add(Alert(kind=AlertKind.PROCESS_MISSING, subject="scheduler", started_at_ms=now_ms()))
    for path in (PATH, "/Admin/Mode"):
        assert "The scheduler is not running Since" not in visible_text(sysadmin.get(path).text)
    assert "Nothing is wrong." in visible_text(sysadmin.get(PATH).text)


def test_banners_tell_the_alerts_that_nothing_else_tells(
    web_app: Flask, admin: WebClient, sysadmin: WebClient, sms_enabled: None
) -> None:
    show_alerts(web_app)
    banners = visible_text(admin.get("/Admin/Mode").text)
    for kind, subject in (("failure_rate", "sms"), ("segment_budget", "100"), ("lane_stuck", "sms urgent")):
        assert describe_alert(kind, subject).title in banners
    assert "The mail server does not accept emails" not in banners
    assert f'href="{PATH}"' not in admin.get("/Admin/Mode").text
    assert f'href="{PATH}"' in sysadmin.get("/Admin/Mode").text


def test_alert_that_is_gone_for_now_has_no_banner(web_app: Flask, sysadmin: WebClient, sms_enabled: None) -> None:
    show_alerts(web_app)
    with app_transaction(web_app):
        db.session.execute(update(Alert).values(passed_at_ms=now_ms()))
    assert describe_alert("lane_stuck", "sms urgent").title not in visible_text(sysadmin.get("/Admin/Mode").text)
    assert "It was last seen " in visible_text(sysadmin.get(PATH).text)


def test_test_alert_is_sent_to_every_sysadmin(web_app: Flask, sysadmin: WebClient) -> None:
    assert sysadmin.post(f"{PATH}/test").location == PATH
    assert "A test alert is sent within a minute." in sysadmin.get(PATH).text
    with web_app.app_context():
        routes = db.session.execute(select(AlertNotice.route, AlertNotice.event)).all()
    assert [tuple(row) for row in routes] == [("email", "started")]
    assert ("alert_tested", "alerts") in audit_entries(web_app)


def test_alerts_are_for_system_administrators(admin: WebClient, number_owner: WebClient) -> None:
    for person in (admin, number_owner):
        assert person.get(PATH).status_code == 404
        assert person.post(f"{PATH}/test").status_code == 404


def test_ended_alerts_are_on_pages(web_app: Flask, sysadmin: WebClient) -> None:
    with app_transaction(web_app):
        for number in range(30):
            ended = {"started_at_ms": number, "announced_at_ms": number, "ended_at_ms": number}
            db.session.add(Alert(kind=AlertKind.QUEUE_AWAY, subject="", **ended))
    page = sysadmin.get(PATH).text
    assert page.count('<th scope="row" title="The queue accepts no work">') == 25
    assert f"{PATH}?before=6" in page
    assert sysadmin.get(f"{PATH}?before=6").text.count('<th scope="row" title="The queue accepts no work">') == 5


def test_alerts_about_texts_are_hidden_while_texts_are_off(web_app: Flask, admin: WebClient) -> None:
    show_alerts(web_app)
    with app_transaction(web_app):
        db.session.execute(update(Alert).where(Alert.subject != "sms").values(ended_at_ms=now_ms()))
    assert "Many texts are not delivered" not in visible_text(admin.get("/Admin/Mode").text)

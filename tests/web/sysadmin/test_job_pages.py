"""What pages say about jobs, and the button that starts a failed one again."""

from dataclasses import replace

import pytest
from flask import Flask
from sqlalchemy import update

from portal.content.message_templates import TemplateDraft, create_template
from portal.core.clock import now_ms
from portal.core.extensions import db
from portal.delivery import maintenance
from portal.gateways import job_reports, queue
from portal.messages.tables.communications import Delivery
from portal.sends.send_creation import create_send
from portal.sends.tables.sends import Send
from tests.support.html_checks import find_page_problems
from tests.support.job_runner import WORKER, failing, replace_tasks, run_jobs
from tests.support.page_queries import QUEUES_PATH, SENT_NOTICE, app_transaction, audit_entries, visible_text
from tests.support.servers import flush_valkey
from tests.support.web_client import NOW_MS, WebClient
from tests.web.admin.consent_helpers import STOPS, confirmed_digest

SEND = "/Admin/Sends/1"


@pytest.fixture
def queue_url(web_app: Flask, redis_url: str) -> str:
    """The pages use a real, empty Redis."""
    flush_valkey(redis_url)
    web_app.config["PORTAL"] = replace(web_app.config["PORTAL"], redis_url=redis_url)
    return redis_url


@pytest.fixture
def waiting_send(web_app: Flask, queue_url: str) -> None:
    with web_app.app_context():
        create_template(TemplateDraft("notice", "Notice", "Notice", "Hello **{{ name }}**.", False, True), None, NOW_MS)
        create_send("notice", {"all": True}, {}, None, NOW_MS)


def record_heartbeat(app: Flask, at_ms: int) -> None:
    with app.app_context():
        maintenance.record_heartbeat("worker:work:host:1", "worker:work", at_ms)


def text_of(visitor: WebClient, path: str) -> str:
    page = visitor.get(path).text
    assert find_page_problems(page) == []
    return visible_text(page)


def test_send_page_shows_the_waiting_job_and_the_database(admin: WebClient, waiting_send: None) -> None:
    page = text_of(admin, SEND)
    assert "No messages have been prepared yet." in page
    assert "Waiting Prepare send 1 Position 1 in the queue work, added just now . Job fan-out-send-1 ." in page


def test_send_page_shows_worker_and_progress_of_the_job(
    web_app: Flask, admin: WebClient, waiting_send: None, queue_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = []

    def task(_send_id: int) -> None:
        job_reports.report_progress(queue_url, 3_000, 12_000, "recipients")
        record_heartbeat(web_app, now_ms())
        pages.extend([text_of(admin, SEND), admin.get(f"{SEND}/progress").text])
        record_heartbeat(web_app, now_ms() - 120_000)
        pages.append(text_of(admin, SEND))

    replace_tasks(monkeypatch, task)
    run_jobs(queue_url)
    assert f"Running Prepare send 1 Started on worker {WORKER} just now" in pages[0]
    assert f"Interrupted Prepare send 1 Started on worker {WORKER} just now" in pages[2]
    assert "That worker no longer answers." in pages[2]
    assert "3,000 of 12,000 recipients" in pages[0]
    assert '<progress value="3000" max="12000"' in pages[1]
    assert "Finished Prepare send 1 Ran on worker" in text_of(admin, SEND)


@pytest.mark.parametrize(
    ("path", "retry"),
    [(SEND, f"{SEND}/jobs/fan-out-send-1/retry"), (QUEUES_PATH, f"{QUEUES_PATH}/jobs/fan-out-send-1/retry")],
)
def test_failed_job_is_explained_and_started_again(
    web_app: Flask, sysadmin: WebClient, waiting_send: None, queue_url: str, monkeypatch: pytest.MonkeyPatch,
    path: str, retry: str,
) -> None:  # fmt: skip
    replace_tasks(monkeypatch, failing(ValueError("+12025550101")))
    run_jobs(queue_url)
    page = sysadmin.get(path).text
    assert f"Failed Prepare send 1 Failed on worker {WORKER} just now" in visible_text(page)
    assert "An unexpected error occurred. See the worker’s log." in page
    assert "+12025550101" not in page
    assert f'action="{retry}"' in page
    sysadmin.post_without_token(retry, {})
    assert "Failed Prepare send 1" in text_of(sysadmin, path)
    assert sysadmin.post(retry).status_code == 303
    page = text_of(sysadmin, path)
    assert "The job was started again." in page
    assert "It failed before and was started again: An unexpected error occurred." in page
    assert audit_entries(web_app) == [*SENT_NOTICE, ("job_retried", "job fan-out-send-1")]
    sysadmin.post(retry)
    assert "This job cannot be tried again" in text_of(sysadmin, path)
    assert len(audit_entries(web_app)) == len(SENT_NOTICE) + 1


def test_administrator_retries_only_jobs_of_the_send(
    admin: WebClient, number_owner: WebClient, waiting_send: None
) -> None:
    assert admin.post(f"{SEND}/jobs/drain-sms/retry").status_code == 404
    assert admin.post(f"{SEND}/jobs/fan-out-send-2/retry").status_code == 404
    assert admin.post(f"{QUEUES_PATH}/jobs/fan-out-send-1/retry").status_code == 404
    assert number_owner.post(f"{SEND}/jobs/fan-out-send-1/retry").status_code == 404


def test_queues_list_the_jobs_of_each_queue(sysadmin: WebClient, waiting_send: None, queue_url: str) -> None:
    queue.enqueue(queue_url, "drain_sms")
    queue.enqueue(queue_url, "apply_send_control", 5)
    page = text_of(sysadmin, QUEUES_PATH)
    assert "Queue sms Waiting Send waiting texts Position 1 in the queue sms" in page
    assert "Queue email No job is waiting or running, and none has ended recently." in page
    assert "Prepare send 1 Position 1 in the queue work" in page
    assert "Apply pause or cancellation to send 5 Position 2 in the queue work" in page


def test_test_text_shows_the_job_that_sends_it(
    sysadmin: WebClient, sms_enabled: None, queue_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = "/SysAdmin/SmsNotificationsTestHarness/texts"
    response = sysadmin.post(texts, number="+12025550142", body="Hello")
    assert "Waiting Send waiting texts Position 1 in the queue sms" in text_of(sysadmin, response.location)
    replace_tasks(monkeypatch, lambda *_: None)
    run_jobs(queue_url, "sms")
    assert f"Finished Send waiting texts Ran on worker {WORKER}" in text_of(sysadmin, response.location)


def test_import_page_shows_its_job_and_retries_it(
    web_app: Flask, admin: WebClient, queue_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    preview = admin.post(STOPS, text="+12025550166")
    response = admin.post(STOPS, text="+12025550166", confirmed=confirmed_digest(preview))
    page = text_of(admin, response.location)
    assert "The file is stored and waiting for a worker." in page
    assert "Waiting Run import 1 Position 1 in the queue work" in page
    assert "In progress Import 1" in text_of(admin, STOPS)
    replace_tasks(monkeypatch, failing(ValueError("+12025550166")))
    run_jobs(queue_url)
    assert "Failed Run import 1" in text_of(admin, response.location)
    assert "hx-trigger" in admin.get(response.location).text, "it is still to be done"
    admin.post(f"{response.location}/retry")
    page = text_of(admin, response.location)
    assert "The import was started again." in page
    assert "Waiting Run import 1" in page
    assert audit_entries(web_app) == [("job_retried", "import 1")]


@pytest.mark.parametrize("path", [SEND, QUEUES_PATH])
def test_page_says_that_redis_is_unavailable_and_work_goes_on(
    web_app: Flask, sysadmin: WebClient, waiting_send: None, path: str
) -> None:
    web_app.config["PORTAL"] = replace(web_app.config["PORTAL"], redis_url="redis://127.0.0.1:1/0")
    page = text_of(sysadmin, path)
    assert "The job’s status cannot be read from Redis. Nothing is listening" in page
    assert "workers find it in the database" in page


def test_page_of_an_ended_send_stops_polling(
    web_app: Flask, admin: WebClient, sent_communications: dict[str, int], queue_url: str
) -> None:
    assert "hx-trigger" in admin.get(SEND).text

    with app_transaction(web_app):
        db.session.execute(update(Delivery).values(state="handed_off"))
        db.session.execute(update(Send).values(state="done", finished_at_ms=NOW_MS))
    page = admin.get(f"{SEND}/progress").text
    assert "hx-trigger" not in page
    assert "Background jobs" not in page

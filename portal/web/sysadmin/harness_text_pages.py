"""System → test harness: test texts and failure drills, tracked step by step."""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, abort, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user

from portal.core.clock import now_ms
from portal.core.errors import ActionRefused, InvalidInput
from portal.core.extensions import db
from portal.core.rules.routing import TextKind
from portal.gateways.rules.twilio_magic_numbers import RECIPIENT_NUMBERS
from portal.messages.tables.communications import Communication
from portal.operations import drills, test_messages
from portal.operations.rules.drill_scenarios import DRILLS
from portal.web.access import allow
from portal.web.delivery_labels import ChannelStatus, channel_statuses
from portal.web.layout import current_gateway
from portal.web.polling import poll_interval_seconds
from portal.web.request_input import is_htmx_request
from portal.web.sysadmin.harness_form import TestTextForm
from portal.web.sysadmin.queue_pages import retry_url

pages = Blueprint("sysadmin_texts", __name__, url_prefix="/SysAdmin/SmsNotificationsTestHarness")
_RECENT_LIMIT = 10


@pages.app_context_processor
def _template_context() -> dict[str, Callable[..., Any]]:
    return {
        "test_form": lambda: _default_form(test_messages.test_blocker()),
        "recent_tests": _recent_texts,
        "test_subject": drills.display_subject,
        "magic_numbers": lambda: RECIPIENT_NUMBERS if current_gateway().switches.test_mode else {},
        "available_drills": lambda: list(DRILLS.values()) if drills.is_available() else [],
    }


@pages.post("/texts")
@allow("sysadmin")
def send() -> ResponseReturnValue:
    form = TestTextForm()
    try:
        communication_id = test_messages.send_test_text(
            form.number.data, form.body.data, current_user.id, now_ms(), form.sender.data, form.confirmed_phone.data
        )
    except InvalidInput as error:
        return _rejected_response(form.with_errors(error))
    except ActionRefused as error:
        form.refusal = error.message
        return _rejected_response(form)
    return _started_response(communication_id)


@pages.post("/drills/<any(burst, timeout, lost, twice, killed):key>")
@allow("sysadmin")
def drill(key: str) -> ResponseReturnValue:
    try:
        return _started_response(drills.start_drill(key, current_user.id, now_ms()))
    except ActionRefused as error:
        return _rejected_response(_default_form(error.message))


@pages.get("/texts/<id:communication_id>")
@allow("sysadmin")
def follow(communication_id: int) -> ResponseReturnValue:
    """One test text; only its steps for htmx."""
    communication = db.session.get(Communication, communication_id)
    if communication is None or communication.kind != TextKind.TEST:
        abort(404)
    template = "sysadmin/harness/_steps.html" if is_htmx_request() else "sysadmin/harness/text.html"
    return render_template(template, **_track(communication)), {"Vary": "HX-Request"}


def _started_response(communication_id: int) -> ResponseReturnValue:
    """The steps for htmx; without JavaScript a redirect to their page."""
    if is_htmx_request():
        return follow(communication_id)
    return redirect(url_for("sysadmin_texts.follow", communication_id=communication_id), 303)


def _rejected_response(form: TestTextForm) -> ResponseReturnValue:
    if is_htmx_request():
        page = render_template("sysadmin/harness/_text_form.html", form=form)
        return page, 422, {"HX-Retarget": "#test-text", "HX-Reswap": "outerHTML"}
    return render_template("sysadmin/harness/page.html", form=form), 422


def _track(communication: Communication) -> dict[str, Any]:
    """What the page shows of a test text; `poll_seconds` is None once the text is final."""
    communication_id, age_ms = communication.id, now_ms() - communication.created_at_ms
    outcome = drills.drill_outcome(communication, now_ms())
    communication = db.session.get_one(Communication, communication_id)
    return {
        "communication": communication,
        "subject": drills.display_subject(communication),
        "steps": test_messages.delivery_steps(communication),
        "traces": test_messages.api_traces(communication),
        "outcome": outcome,
        "jobs": test_messages.jobs_since(communication.created_at_ms),
        "retry_url": retry_url,
        "poll_seconds": None if test_messages.is_over(communication) else min(2, poll_interval_seconds(age_ms)),
    }


def _default_form(refusal: str | None) -> TestTextForm:
    number, body = test_messages.last_number(current_user.id), test_messages.default_body()
    form = TestTextForm(formdata=None, number=number, body=body)
    form.refusal = refusal
    return form


def _recent_texts() -> list[tuple[Communication, ChannelStatus]]:
    """Also while texts are off, because the setup is tested first (docs/consent-rules.md#feature-switch)."""
    texts = test_messages.recent_test_texts(_RECENT_LIMIT)
    return [(text, channel_statuses(text, also_texts=True)[-1]) for text in texts]

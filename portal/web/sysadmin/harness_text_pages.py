"""System → test harness → test texts and failure drills: sent by a button, followed step by step."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from flask import Blueprint, abort, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user

from portal.core.clock import now_ms
from portal.core.errors import ActionRefused, InvalidInput
from portal.core.extensions import db
from portal.core.rules.routing import TextKind
from portal.gateways.rules.magic_numbers import RECIPIENT_NUMBERS
from portal.messages.tables.communications import Communication
from portal.operations import drills, test_messages
from portal.operations.drills import DrillOutcome
from portal.operations.rules.drill_scenarios import DRILLS, Drill
from portal.web.access import allow
from portal.web.delivery_labels import ChannelStatus, channel_statuses
from portal.web.layout import current_gateway
from portal.web.polling import poll_interval_seconds
from portal.web.request_input import form_code, form_text, is_htmx_request, unconfirmed_number

pages = Blueprint("sysadmin_texts", __name__, url_prefix="/SysAdmin/SmsNotificationsTestHarness")
_RECENT_LIMIT = 10


@dataclass(frozen=True)
class TestTextForm:
    """The form for a test text: the input and its errors, or the values last used."""

    number: str
    body: str
    sender: str = ""
    refusal: str | None = None
    errors: dict[str, str] = field(default_factory=dict)
    number_to_confirm: str = ""


@dataclass(frozen=True)
class TrackedText:
    """A test text with its steps; `poll_seconds` is how often the page polls, None when the text is final."""

    communication: Communication
    steps: list[test_messages.MessageStep]
    traces: list[test_messages.ApiTrace]
    drill: DrillOutcome | None
    poll_seconds: int | None


@pages.app_context_processor
def _template_context() -> dict[str, Callable[[], Any]]:
    return {
        "test_form": _empty_form,
        "recent_tests": _recent_texts,
        "test_senders": test_messages.available_senders,
        "magic_numbers": lambda: RECIPIENT_NUMBERS if current_gateway().switches.test_mode else {},
        "drills_offered": _available_drills,
    }


@pages.get("/texts")
@pages.get("/drills/<any(burst, timeout, lost, twice, killed):_key>")
@allow("sysadmin")
def redirect_to_page(_key: str = "") -> ResponseReturnValue:
    """Forms post to these addresses. Reloading one leads to the page with the form."""
    return redirect(url_for("sysadmin_harness.page"), 303)


@pages.post("/texts")
@allow("sysadmin")
def send() -> ResponseReturnValue:
    form = TestTextForm(form_text("number"), form_text("body"), form_text("sender"))
    try:
        confirmed_number = form_code("confirmed_phone")
        communication_id = test_messages.send_test_text(
            form.number, form.body, current_user.id, now_ms(), form.sender, confirmed_number
        )
    except InvalidInput as error:
        return _rejected_response(replace(form, errors=error.errors, number_to_confirm=unconfirmed_number(error)))
    except ActionRefused as error:
        return _rejected_response(replace(form, refusal=error.message))
    return _started_response(communication_id)


@pages.post("/drills/<any(burst, timeout, lost, twice, killed):key>")
@allow("sysadmin")
def drill(key: str) -> ResponseReturnValue:
    try:
        return _started_response(drills.start_drill(key, current_user.id, now_ms()))
    except ActionRefused as error:
        return _rejected_response(TestTextForm(_last_number(), test_messages.default_body(), refusal=error.message))


@pages.get("/texts/<id:communication_id>")
@allow("sysadmin")
def follow(communication_id: int) -> ResponseReturnValue:
    """One test text; only its steps for htmx."""
    communication = db.session.get(Communication, communication_id)
    if communication is None or communication.kind != TextKind.TEST:
        abort(404)
    template = "sysadmin/harness/_steps.html" if is_htmx_request() else "sysadmin/harness/text.html"
    return render_template(template, tracked=_track(communication)), {"Vary": "HX-Request"}


def _started_response(communication_id: int) -> ResponseReturnValue:
    """The steps for htmx; without JavaScript a redirect to their page."""
    if is_htmx_request():
        return follow(communication_id)
    return redirect(url_for("sysadmin_texts.follow", communication_id=communication_id), 303)


def _rejected_response(form: TestTextForm) -> ResponseReturnValue:
    if is_htmx_request():
        page = render_template("sysadmin/harness/_text_form.html", form=form)
        return page, 422, {"HX-Retarget": "#test-text", "HX-Reswap": "outerHTML"}
    return render_template("sysadmin/harness/page.html", diagnostics=None, form=form), 422


def _track(communication: Communication) -> TrackedText:
    communication_id, age_ms = communication.id, now_ms() - communication.created_at_ms
    drill = drills.drill_outcome(communication, now_ms())
    communication = db.session.get_one(Communication, communication_id)
    traces = [test_messages.trace_attempt(attempt) for attempt in test_messages.provider_calls(communication)]
    poll_seconds = None if test_messages.is_over(communication) else min(2, poll_interval_seconds(age_ms))
    return TrackedText(communication, test_messages.delivery_steps(communication), traces, drill, poll_seconds)


def _empty_form() -> TestTextForm:
    return TestTextForm(_last_number(), test_messages.default_body(), refusal=test_messages.test_blocker())


def _last_number() -> str:
    return test_messages.last_number(current_user.id)


def _recent_texts() -> list[tuple[Communication, ChannelStatus]]:
    """Also while texts are off: the setup is proved first (docs/consent-rules.md#feature-switch)."""
    return [
        (item, channel_statuses(item, also_texts=True)[-1]) for item in test_messages.recent_test_texts(_RECENT_LIMIT)
    ]


def _available_drills() -> list[Drill]:
    return list(DRILLS.values()) if drills.is_available() else []

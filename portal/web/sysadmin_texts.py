"""System → test harness → test texts and failure drills: sent by a button, followed step by step."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from flask import Blueprint, abort, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user

from portal.actions import drills, harness
from portal.actions.drills import Outcome
from portal.actions.errors import Invalid, Refused
from portal.clock import now_ms
from portal.domain.drills import DRILLS, Drill
from portal.domain.magic_numbers import TO
from portal.domain.routing import TextKind
from portal.extensions import db
from portal.models.communication import Communication
from portal.web.access import allow
from portal.web.delivery_words import Status, statuses
from portal.web.intervals import seconds_until_next_look
from portal.web.layout import gateway_now
from portal.web.parsing import by_htmx, typed, typed_code, unsure_number

pages = Blueprint("sysadmin_texts", __name__, url_prefix="/SysAdmin/SmsNotificationsTestHarness")
_RECENT = 10


@dataclass(frozen=True)
class TextForm:
    """What the form for a test text shows: what was typed and what is wrong with it, else what was typed last."""

    number: str
    body: str
    sender: str = ""
    refusal: str | None = None
    errors: dict[str, str] = field(default_factory=dict)
    unsure: str = ""


@dataclass(frozen=True)
class Followed:
    """A test text with its steps; `every` is how often to look again, None when it is over."""

    communication: Communication
    steps: list[harness.Step]
    traces: list[harness.Trace]
    drill: Outcome | None
    every: int | None


@pages.app_context_processor
def _for_the_page() -> dict[str, Callable[[], Any]]:
    return {
        "test_form": _form,
        "recent_tests": _recent,
        "test_senders": harness.senders,
        "magic_numbers": lambda: TO if gateway_now().switches.test_mode else {},
        "drills_offered": _drills,
    }


@pages.get("/texts")
@pages.get("/drills/<any(burst, timeout, lost, twice, killed):_key>")
@allow("sysadmin")
def back(_key: str = "") -> ResponseReturnValue:
    """Where a form was sent to is no page: reloaded, it leads to the one that has the form."""
    return redirect(url_for("sysadmin_harness.page"), 303)


@pages.post("/texts")
@allow("sysadmin")
def send() -> ResponseReturnValue:
    form = TextForm(typed("number"), typed("body"), typed("sender"))
    try:
        confirmed = typed_code("confirmed_number")
        communication_id = harness.send_test(form.number, form.body, current_user.id, now_ms(), form.sender, confirmed)
    except Invalid as error:
        return _refused(replace(form, errors=error.errors, unsure=unsure_number(error)))
    except Refused as error:
        return _refused(replace(form, refusal=error.sentence))
    return _started(communication_id)


@pages.post("/drills/<any(burst, timeout, lost, twice, killed):key>")
@allow("sysadmin")
def drill(key: str) -> ResponseReturnValue:
    try:
        return _started(drills.start(key, current_user.id, now_ms()))
    except Refused as error:
        return _refused(TextForm(_remembered(), harness.default_body(), refusal=error.sentence))


@pages.get("/texts/<id:communication_id>")
@allow("sysadmin")
def follow(communication_id: int) -> ResponseReturnValue:
    """One test text: to htmx its steps alone."""
    found = db.session.get(Communication, communication_id)
    if found is None or found.kind != TextKind.TEST:
        abort(404)
    template = "sysadmin/harness/_steps.html" if by_htmx() else "sysadmin/harness/text.html"
    return render_template(template, followed=_followed(found)), {"Vary": "HX-Request"}


def _started(communication_id: int) -> ResponseReturnValue:
    """To htmx the steps at once; without JavaScript the page that shows them."""
    if by_htmx():
        return follow(communication_id)
    return redirect(url_for("sysadmin_texts.follow", communication_id=communication_id), 303)


def _refused(form: TextForm) -> ResponseReturnValue:
    if by_htmx():
        page = render_template("sysadmin/harness/_text_form.html", form=form)
        return page, 422, {"HX-Retarget": "#test-text", "HX-Reswap": "outerHTML"}
    return render_template("sysadmin/harness/page.html", diagnosis=None, form=form), 422


def _followed(communication: Communication) -> Followed:
    communication_id, age_ms = communication.id, now_ms() - communication.created_at_ms
    drilled = drills.follow(communication, now_ms())
    communication = db.session.get_one(Communication, communication_id)
    traces = [harness.trace(attempt) for attempt in harness.calls(communication)]
    every = None if harness.is_over(communication) else min(2, seconds_until_next_look(age_ms))
    return Followed(communication, harness.steps(communication), traces, drilled, every)


def _form() -> TextForm:
    return TextForm(_remembered(), harness.default_body(), refusal=harness.why_no_test())


def _remembered() -> str:
    return harness.last_number(current_user.id)


def _recent() -> list[tuple[Communication, Status]]:
    """Also while texts are off: the setup is proved first (docs/consent-rules.md#feature-switch)."""
    return [(item, statuses(item, also_texts=True)[-1]) for item in harness.recent_tests(_RECENT)]


def _drills() -> list[Drill]:
    return list(DRILLS.values()) if drills.are_offered() else []

"""Every component of the pages with its states, on one page for whoever builds pages. Not in production."""

import os
from dataclasses import dataclass

from flask import Blueprint, abort, render_template

from portal.content.rules.text_diff import diff_words
from portal.core.clock import now_ms
from portal.core.config import is_production
from portal.web.access import allow
from portal.web.paging import Sort, requested_order

pages = Blueprint("styleguide", __name__)
_TONES = {"ok": "Delivered", "wait": "Waiting", "bad": "Not delivered", "off": "Canceled", "new": "New"}


@dataclass(frozen=True)
class _Event:
    label: str
    tone: str
    seconds_ago: int
    detail: str = ""
    remedy: str = ""
    source: str = ""
    provider_id: str = ""
    code: str = ""

    @property
    def at_ms(self) -> int:
        return now_ms() - self.seconds_ago * 1000


@pages.get("/styleguide")
@allow("admin")
def page() -> str:
    if is_production(os.environ):
        abort(404)
    answer = "The phone is off or out of range.", "Send it again later.", "Status callback from Twilio", "SM1", "30003"
    events = (
        _Event("Created", "off", 95),
        _Event("Accepted by Twilio", "ok", 93),
        _Event("Sent to the carrier", "wait", 92),
        _Event("Not delivered", "bad", 4, *answer),
    )
    return render_template(
        "styleguide.html",
        tones=_TONES,
        order=requested_order(Sort("sent", "Sent", (), descending=True)),
        events=events,
        parts=diff_words("Your renewal is due soon.", "Your renewal is due in 30 days."),
    )

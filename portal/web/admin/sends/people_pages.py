"""Administration → sends: the people behind each count, before a send begins."""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, abort, render_template
from flask.typing import ResponseReturnValue
from wtforms import HiddenField

from portal.accounts.tables.accounts import Recipient
from portal.accounts.tables.attributes import find_attribute
from portal.content.template_words import language_label
from portal.core.clock import now_ms
from portal.core.errors import InvalidInput
from portal.core.rules.routing import Reason
from portal.core.translation import LANGUAGES, N_
from portal.core.translation import gettext as _
from portal.sends.send_creation import people_of_plan
from portal.sends.send_preview import (
    EVERYBODY,
    IN_LANGUAGE,
    TEXTED,
    UNFILLED,
    UNTRANSLATED,
    WITHOUT_VALUE,
    people_behind,
)
from portal.web.access import allow
from portal.web.admin.sends.send_actions import send_or_404
from portal.web.admin.sends.send_form import submitted_send_form
from portal.web.admin.sends.send_pages import form_page
from portal.web.layout import is_sms_visible
from portal.web.paging import CursorForm
from portal.web.request_input import query_id, query_text

pages = Blueprint("admin_send_people", __name__, url_prefix="/Admin/Sends")
_PAGE_SIZE = 50
_LABELS = {
    EVERYBODY: N_("Everybody who gets the email"),
    TEXTED: N_("Everybody who gets a text"),
    UNFILLED: N_("The template cannot be filled in with their values"),
}

_LABELS_OF_LANGUAGES = {
    IN_LANGUAGE: N_("Everybody who gets it in %(language)s"),
    UNTRANSLATED: N_("Everybody who reads %(language)s and gets the English words"),
}


class PeopleForm(CursorForm):
    people = HiddenField()


@pages.post("/people")
@allow("admin")
def of_form() -> ResponseReturnValue:
    """Of a send that is being checked. The form carries what was typed, which may be too long for an address."""
    form = submitted_send_form() or abort(404)
    people_form = PeopleForm()
    people, after_id = people_form.people.data, people_form.after.data or 0
    try:
        values = form.key, form.chosen_audience, form.values
        page = _page(people, lambda: people_of_plan(*values, people, after_id, _PAGE_SIZE + 1, now_ms()))
    except InvalidInput as error:
        return form_page(form.with_errors(error))
    return render_template("admin/sends/planning/people.html", form=form, send=None, **page)


@pages.get("/<id:send_id>/people")
@allow("admin")
def of_send(send_id: int) -> str:
    send = send_or_404(send_id)
    people, after_id = query_text("people"), query_id("after") or 0
    values = send.version, send.audience, send.data
    page = _page(people, lambda: people_behind(*values, people, after_id, _PAGE_SIZE + 1, now_ms()))
    return render_template("admin/sends/planning/people.html", form=None, send=send, **page)


def _page(people: str, read: Callable[[], list[Recipient]]) -> dict[str, Any]:
    rows = read() if (label := _label(people)) else abort(404)
    has_next = len(rows) > _PAGE_SIZE
    return {
        "people": people,
        "label": label,
        "rows": rows[:_PAGE_SIZE],
        "next_after": rows[_PAGE_SIZE - 1].id if has_next else None,
    }


def _label(people: str) -> str:
    """While texts are hidden, only who gets the email or nothing is shown."""
    if people.startswith(WITHOUT_VALUE):
        attribute = find_attribute(people.removeprefix(WITHOUT_VALUE))
        return _("No value for %(label)s", label=attribute.label) if attribute else ""
    for prefix, label in _LABELS_OF_LANGUAGES.items():
        if people.startswith(prefix) and (language := people.removeprefix(prefix)) in LANGUAGES:
            return _(label, language=language_label(language))
    if people not in (EVERYBODY, UNFILLED) and not is_sms_visible():
        return ""
    labels = _LABELS | {reason: reason.label for reason in Reason}
    return _(labels[people]) if people in labels else ""

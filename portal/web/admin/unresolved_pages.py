"""Administration → texts with an unknown outcome: what is known about each, and the manual decision."""

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user
from wtforms import HiddenField, StringField

from portal.core.clock import now_ms
from portal.core.errors import ActionRefused, InvalidInput
from portal.core.translation import N_, lazy_gettext
from portal.core.translation import gettext as _
from portal.delivery import unresolved_deliveries
from portal.delivery.unresolved_deliveries import CONFIRMATION_WORDS
from portal.web.access import allow, has_role
from portal.web.base_form import PortalForm
from portal.web.error_pages import flash_outcome
from portal.web.layout import is_sms_visible
from portal.web.request_input import query_id

pages = Blueprint("admin_unresolved", __name__, url_prefix="/Admin/UnknownTexts")
_MAX_ROWS = 200
_DECISION_MESSAGES = {
    "sent": N_("The text is marked as sent."),
    "not_sent": N_("The text is marked as not sent."),
    "resend": N_("The text will be sent again."),
}


class DecisionForm(PortalForm):
    """The page has a form for each decision; each sends one field and the `attempt` that the page showed."""

    attempt = HiddenField()
    sent, not_sent, resend = (
        StringField(lazy_gettext("Type %(word)s", word=word)) for word in CONFIRMATION_WORDS.values()
    )


@pages.before_request
def _require_visible_sms() -> None:
    """Hidden while texts are off, except from whoever can switch them on (docs/consent-rules.md#feature-switch)."""
    if not is_sms_visible() and not has_role("sysadmin"):
        abort(404)


@pages.get("")
@allow("admin")
def listing() -> str:
    send_id = query_id("send")
    rows, at_ms = unresolved_deliveries.list_unresolved_texts(_MAX_ROWS, send_id), now_ms()
    return render_template("admin/unresolved/index.html", rows=rows, send_id=send_id, now_ms=at_ms, max_rows=_MAX_ROWS)


@pages.get("/<id:delivery_id>")
@allow("admin")
def one(delivery_id: int) -> ResponseReturnValue:
    return _page(delivery_id, DecisionForm())


@pages.post("/<id:delivery_id>/look")
@allow("admin")
def check_now(delivery_id: int) -> ResponseReturnValue:
    with flash_outcome(_("The portal asks Twilio about this text within seconds.")):
        unresolved_deliveries.check_now(delivery_id, now_ms())
    return redirect(url_for(".listing"), 303)


@pages.post("/<id:delivery_id>/<any(sent, not_sent, resend):how>")
@allow("admin")
def decide(delivery_id: int, how: str) -> ResponseReturnValue:
    form, author_id = DecisionForm(), current_user.id
    try:
        unresolved_deliveries.resolve_manually(delivery_id, how, form[how].data, form.attempt.data, author_id, now_ms())
        flash(_(_DECISION_MESSAGES[how]), "info")
    except InvalidInput as error:
        return _page(delivery_id, DecisionForm(formdata=None).with_errors(error))
    except ActionRefused as error:
        flash(error.message, "error")
    return redirect(url_for(".listing"), 303)


def _page(delivery_id: int, form: DecisionForm) -> ResponseReturnValue:
    unresolved = unresolved_deliveries.find_unresolved_text(delivery_id) or abort(404)
    can_decide = unresolved.can_be_resolved(now_ms())
    page = render_template("admin/unresolved/one.html", unresolved=unresolved, form=form, can_decide=can_decide)
    return page, 422 if form.errors else 200

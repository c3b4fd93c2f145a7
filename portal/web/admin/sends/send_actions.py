"""What the pages of sends share: find the send of an address, and change it."""

from collections.abc import Callable

from flask import abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user

from portal.content.tables.templates import current_template_versions
from portal.core.clock import now_ms
from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.sends.tables.sends import Send


def choose_template(endpoint: str, problem: str) -> str:
    """The page that leads to `endpoint`, a new send or schedule, with the key of a template that is not archived."""
    versions = [version for version in current_template_versions() if version.template.archived_at_ms is None]
    return render_template("admin/sends/choose.html", versions=versions, problem=problem, endpoint=endpoint)


def send_or_404(send_id: int) -> Send:
    return db.session.get(Send, send_id) or abort(404)


def send_url(send_id: int) -> str:
    return url_for("admin_sends.show", send_id=send_id)


def change_send(
    send_id: int, change: Callable[[int, int, int], None], message: str, url: str = ""
) -> ResponseReturnValue:
    """Leads to the send, or after the change to another `url`. `change` gets the send, the person and the time."""
    send_or_404(send_id)
    try:
        change(send_id, current_user.id, now_ms())
    except ActionRefused as error:
        flash(error.message, "error")
        return redirect(send_url(send_id), 303)
    flash(message, "info")
    return redirect(url or send_url(send_id), 303)

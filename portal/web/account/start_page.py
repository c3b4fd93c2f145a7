"""The start page redirects by role, and the short links in a text redirect to its communication and to the history."""

from flask import Blueprint, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user

from portal.accounts.rules.access_rules import is_owner
from portal.core.rules import text_input
from portal.messages.tables import communication_history
from portal.web.access import allow, has_role
from portal.web.layout import DASHBOARD

pages = Blueprint("home", __name__)


@pages.get("/")
@allow("user")
def start_page() -> ResponseReturnValue:
    return redirect(url_for(DASHBOARD if has_role("admin") else "my_history.listing"))


@pages.get("/h")
@allow("user")
def short_history_link() -> ResponseReturnValue:
    return redirect(url_for("my_history.listing"))


@pages.get("/c/<token>")
@allow("user")
def short_link(token: str) -> ResponseReturnValue:
    """Redirect only the owner. Another person's link gets the same response as one that does not exist."""
    communication = communication_history.find_by_token(text_input.clean_code(token))
    if communication is None or not is_owner(communication.account_id, current_user.id):
        return render_template("my_account/not_yours.html"), 404
    return redirect(url_for("my_history.show", communication_id=communication.id))

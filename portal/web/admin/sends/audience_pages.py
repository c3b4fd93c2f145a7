"""Administration → audiences: saved audiences, and the people of any audience."""

import json
from collections.abc import Mapping
from time import monotonic
from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user
from sqlalchemy import select
from wtforms import HiddenField, StringField

from portal.accounts.tables.accounts import Account
from portal.core.clock import now_ms
from portal.core.errors import ActionRefused, InvalidInput
from portal.core.extensions import db
from portal.core.translation import N_, lazy_gettext
from portal.core.translation import gettext as _
from portal.sends import saved_audiences
from portal.sends.audience_resolution import resolve_audience
from portal.sends.saved_audiences import AudienceChanged
from portal.sends.send_creation import audience_problem
from portal.sends.tables.audience import count_recipients, in_audience
from portal.sends.tables.saved_audiences import BY_NAME, SavedAudience
from portal.sends.tables.saved_audiences import saved_audiences as saved_audience_rows
from portal.web.access import allow
from portal.web.admin.sends.audience_form import AudienceForm, initial_audience
from portal.web.admin.sends.audience_uses import audience_uses
from portal.web.paging import Sort, requested_order, sorted_page
from portal.web.request_input import parse_id, parse_version

pages = Blueprint("admin_audiences", __name__, url_prefix="/Admin/Audiences")
_PAGE_SIZE = 25
_PEOPLE_PER_PAGE = 50
_COUNTING_SECONDS = 0.3
"""A list counts its audiences for no longer than this; the others are counted on their own pages."""
_BY_NAME = Sort("name", N_("Name"), BY_NAME)
_BY_ID = Sort("id", N_("Account"), (Account.id,), is_reversible=False)


class SavedAudienceForm(AudienceForm):
    audience_id = HiddenField(filters=[parse_id])
    base_version = HiddenField(filters=[parse_version])
    name = StringField(lazy_gettext("Name"))

    offers_saved_audiences = False


@pages.get("")
@allow("admin")
def listing() -> str:
    order = requested_order(_BY_NAME)
    page = sorted_page(order, order.keyset(_PAGE_SIZE).fetch(saved_audience_rows()))
    return render_template("admin/audiences/index.html", page=page, counts=_counts(page.rows))


def _counts(rows: list[SavedAudience]) -> dict[int, int]:
    ends, counts = monotonic() + _COUNTING_SECONDS, {}
    for row in rows:
        if monotonic() > ends:
            break
        counts[row.id] = count_recipients(resolve_audience(row.definition, now_ms()))
    return counts


@pages.get("/new")
@allow("admin")
def new() -> ResponseReturnValue:
    return _form_page(SavedAudienceForm())


@pages.post("/new")
@allow("admin")
def create() -> ResponseReturnValue:
    form = SavedAudienceForm()
    try:
        saved_audiences.create_saved_audience(form.name.data, form.chosen_audience, current_user.id, now_ms())
    except InvalidInput as error:
        return _form_page(form.with_errors(error))
    return _saved(_("The audience is saved."))


@pages.get("/<id:audience_id>")
@allow("admin")
def edit(audience_id: int) -> ResponseReturnValue:
    audience = _audience(audience_id)
    form = SavedAudienceForm(
        data={
            "audience_id": audience.id,
            "base_version": audience.version,
            "name": audience.name,
            **initial_audience(audience.definition),
        }
    )
    return _form_page(form)


@pages.post("/<id:audience_id>")
@allow("admin")
def save(audience_id: int) -> ResponseReturnValue:
    _audience(audience_id)
    form = SavedAudienceForm()
    values = audience_id, form.name.data, form.base_version.data
    try:
        _change(*values, form)
    except InvalidInput as error:
        return _form_page(form.with_errors(error))
    except AudienceChanged as error:
        return _form_page(form.with_errors(InvalidInput({"base_version": error.message})))
    return _saved(_("The audience is saved."))


def _change(audience_id: int, name: str, base_version: int, form: SavedAudienceForm) -> None:
    saved_audiences.change_saved_audience(
        audience_id, name, form.chosen_audience, base_version, current_user.id, now_ms()
    )


@pages.post("/form")
@allow("admin")
def refresh() -> ResponseReturnValue:
    """The form with other rows of conditions, as typed so far."""
    return _form_page(SavedAudienceForm())


@pages.post("/<id:audience_id>/archive")
@allow("admin")
def archive(audience_id: int) -> ResponseReturnValue:
    audience = _audience(audience_id)
    try:
        saved_audiences.archive_saved_audience(audience.id, audience_uses(audience.id), current_user.id, now_ms())
    except ActionRefused as error:
        flash(error.message, "error")
        return redirect(url_for("admin_audiences.edit", audience_id=audience_id), 303)
    return _saved(_("The audience is archived. Sends that used it keep their people."))


@pages.post("/count")
@allow("admin")
def count() -> str:
    return render_template("admin/audiences/_count.html", form=AudienceForm())


@pages.get("/people")
@allow("admin")
def people() -> str:
    audience = resolve_audience(_requested_audience(), now_ms())
    problem = audience_problem(audience, now_ms())
    order = requested_order(_BY_ID)
    query = in_audience(select(Account), {} if problem else audience)
    return render_template(
        "admin/audiences/people.html",
        audience=audience,
        problem=problem,
        page=sorted_page(order, order.keyset(_PEOPLE_PER_PAGE).fetch(query)),
        total=0 if problem else count_recipients(audience),
    )


def _requested_audience() -> Mapping[str, Any]:
    try:
        audience = json.loads(request.args.get("audience", ""))
    except ValueError:
        abort(404)
    return audience if isinstance(audience, dict) else abort(404)


def _audience(audience_id: int) -> SavedAudience:
    audience = db.session.get(SavedAudience, audience_id)
    return audience if audience is not None and audience.archived_at_ms is None else abort(404)


def _form_page(form: SavedAudienceForm) -> ResponseReturnValue:
    audience = _audience(form.audience_id.data) if form.audience_id.data else None
    page = render_template("admin/audiences/editor.html", form=form, audience=audience)
    return page, 422 if form.errors else 200


def _saved(message: str) -> ResponseReturnValue:
    flash(message, "info")
    return redirect(url_for("admin_audiences.listing"), 303)

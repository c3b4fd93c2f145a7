"""Administration → audiences: saved audiences, and the people of any audience."""

import json
from collections.abc import Mapping
from time import monotonic
from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user
from wtforms import HiddenField, StringField

from portal.accounts.tables.accounts import Account
from portal.core.clock import now_ms
from portal.core.errors import ActionRefused, InvalidInput
from portal.core.extensions import db
from portal.core.keyset import Keyset, Slice
from portal.core.translation import N_, lazy_gettext
from portal.core.translation import gettext as _
from portal.sends import audience_saving
from portal.sends.audience_resolution import audience_problem, resolve_audience
from portal.sends.tables.audience import count_recipients, people_page
from portal.sends.tables.saved_audiences import BY_NAME, SavedAudience, saved_audiences
from portal.web.access import allow
from portal.web.admin.sends.audience_form import AudienceForm, initial_audience
from portal.web.admin.sends.audience_uses import audience_uses
from portal.web.admin.sends.condition_rows import send_choices
from portal.web.paging import CursorForm, Sort, requested_order, sorted_page
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
    page = sorted_page(order, order.keyset(_PAGE_SIZE).fetch(saved_audiences()))
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
        audience_saving.create_saved_audience(form.name.data, form.chosen_audience, current_user.id, now_ms())
    except InvalidInput as error:
        return _form_page(form.with_errors(error))
    return _saved(_("The audience is saved."))


@pages.get("/<id:audience_id>")
@allow("admin")
def edit(audience_id: int) -> ResponseReturnValue:
    audience = _audience(audience_id)
    form = SavedAudienceForm(
        data={
            "audience_id": str(audience.id),
            "base_version": str(audience.version),
            "name": audience.name,
            **initial_audience(audience.definition),
        }
    )
    return _form_page(form, audience)


@pages.post("/<id:audience_id>")
@allow("admin")
def save(audience_id: int) -> ResponseReturnValue:
    form = SavedAudienceForm()
    try:
        _change(audience_id, form)
    except InvalidInput as error:
        return _form_page(form.with_errors(error), _audience(audience_id))
    except ActionRefused as error:
        refusal = InvalidInput({"base_version": error.message})
        return _form_page(form.with_errors(refusal), _audience(audience_id))
    return _saved(_("The audience is saved."))


def _change(audience_id: int, form: SavedAudienceForm) -> None:
    values = form.name.data, form.chosen_audience, form.base_version.data
    audience_saving.change_saved_audience(audience_id, *values, current_user.id, now_ms())


@pages.post("/form")
@allow("admin")
def refresh() -> ResponseReturnValue:
    """The form with other rows of conditions, as typed so far."""
    form = SavedAudienceForm()
    return _form_page(form, _audience(form.audience_id.data) if form.audience_id.data else None)


@pages.post("/<id:audience_id>/archive")
@allow("admin")
def archive(audience_id: int) -> ResponseReturnValue:
    audience = _audience(audience_id)
    try:
        audience_saving.archive_saved_audience(audience.id, audience_uses(audience.id), current_user.id, now_ms())
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
    audience, order = resolve_audience(_requested_audience(), now_ms()), requested_order(_BY_ID)
    problem, total, rows = _people(audience, order.keyset(_PEOPLE_PER_PAGE))
    return _people_page(audience, problem, total, sorted_page(order, rows))


@pages.post("/people")
@allow("admin")
def people_of_form() -> str:
    """The form carries a list that is too long for an address, also from page to page."""
    form, cursor = AudienceForm(), CursorForm()
    try:
        audience = resolve_audience(form.chosen_audience, now_ms())
    except InvalidInput as error:
        return _people_page({}, error.errors["audience"], 0, None)
    keyset = Keyset((Account.id,), _PEOPLE_PER_PAGE, False, cursor.after.data, cursor.before.data)
    problem, total, rows = _people(audience, keyset)
    return _people_page(audience, problem, total, rows, form)


def _people(audience: Mapping[str, Any], keyset: Keyset) -> tuple[str | None, int, Slice[Account]]:
    """Why it is no audience, how many people it has, and a page of them."""
    problem = audience_problem(audience, now_ms())
    total = 0 if problem else count_recipients(audience)
    return problem, total, people_page({} if problem else audience, total, keyset)


def _people_page(
    audience: Mapping[str, Any], problem: str | None, total: int, page: Any, form: AudienceForm | None = None
) -> str:
    values = {"audience": audience, "problem": problem, "total": total, "page": page, "form": form}
    return render_template("admin/audiences/people.html", **values)


@pages.get("/sends")
@allow("admin")
def earlier_sends() -> str:
    """The options of the field of a condition, whose name differs by row."""
    words = next((value for name, value in request.args.items() if name.endswith("-value")), "")
    return render_template("admin/audiences/_send_options.html", sends=send_choices(words))


def _requested_audience() -> Mapping[str, Any]:
    try:
        audience = json.loads(request.args.get("audience", ""))
    except ValueError:
        abort(404)
    return audience if isinstance(audience, dict) else abort(404)


def _audience(audience_id: int) -> SavedAudience:
    return db.session.get(SavedAudience, audience_id) or abort(404)


def _form_page(form: SavedAudienceForm, audience: SavedAudience | None = None) -> ResponseReturnValue:
    page = render_template("admin/audiences/editor.html", form=form, audience=audience)
    return page, 422 if form.errors else 200


def _saved(message: str) -> ResponseReturnValue:
    flash(message, "info")
    return redirect(url_for("admin_audiences.listing"), 303)

"""Administration → accounts → merge: choose the other account, see what moves, confirm."""

from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user
from wtforms import Field, HiddenField

from portal.accounts.account_permissions import require_permission
from portal.accounts.tables.account_search import find_others
from portal.accounts.tables.accounts import Account
from portal.core.clock import now_ms
from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.core.translation import gettext as _
from portal.people.merging import LEAVING, STAYING, merge_accounts, plan_merge
from portal.web.access import allow
from portal.web.authentication.recent_sign_in import needs_recent_sign_in
from portal.web.base_form import PortalForm
from portal.web.current_actor import current_actor
from portal.web.request_input import parse_id, query_id, query_text

pages = Blueprint("account_merging", __name__, url_prefix="/Admin/Accounts/<id:account_id>/Merge")
_MAX_FOUND = 20


class ChoicesField(Field):  # type: ignore[misc]
    """Which side is kept, by the name of each choice of the plan."""

    def process(self, formdata: Any, data: Any = None, extra_filters: Any = None) -> None:
        super().process(formdata, data, extra_filters)
        self.data = {name: side for name, side in (formdata or {}).items() if side in (STAYING, LEAVING)}


class MergeForm(PortalForm):
    """`with_id` is the account that is merged into the one of the page; `fingerprint` is that of the plan shown."""

    with_id = HiddenField(filters=[parse_id])
    fingerprint = HiddenField()
    chosen = ChoicesField()


@pages.get("")
@allow("admin")
def choose(account_id: int) -> ResponseReturnValue:
    """With `with` in the address, what would move; without, a search for the other account."""
    account = _permitted(account_id, query_id("with"))
    if leaving_id := query_id("with"):
        return _preview(account_id, leaving_id)
    search_text = query_text("q")
    found = find_others(search_text, account_id, _MAX_FOUND) if search_text else []
    return render_template("admin/accounts/merge_search.html", account=account, search_text=search_text, found=found)


@pages.post("")
@allow("admin")
@needs_recent_sign_in
def merge(account_id: int) -> ResponseReturnValue:
    form = MergeForm()
    leaving_id = form.with_id.data or abort(404)
    _permitted(account_id, leaving_id)
    try:
        merge_accounts(account_id, leaving_id, form.chosen.data, form.fingerprint.data, current_actor(True), now_ms())
    except ActionRefused as error:
        return _preview(account_id, leaving_id, error.message)
    flash(_("The accounts are merged. This one stays."), "info")
    return redirect(url_for("admin_accounts.profile", account_id=account_id), 303)


def _permitted(account_id: int, leaving_id: int | None) -> Account:
    """The account of the page, if the viewer may act on both. An account that does not exist is refused later."""
    account, leaving = db.session.get(Account, account_id) or abort(404), db.session.get(Account, leaving_id or 0)
    require_permission(current_user.id, account, *([leaving] if leaving else []))
    return account


def _preview(account_id: int, leaving_id: int, problem: str = "") -> ResponseReturnValue:
    try:
        plan = plan_merge(account_id, leaving_id, current_user.id)
    except ActionRefused as error:
        flash(error.message, "error")
        return redirect(url_for(".choose", account_id=account_id), 303)
    sides = {STAYING: plan.staying, LEAVING: plan.leaving}
    values = {"plan": plan, "sides": sides, "problem": problem, "chosen": MergeForm().chosen.data}
    page = render_template("admin/accounts/merge.html", **values)
    return page, 422 if problem else 200

"""System → retention: what is kept and for how long, and what a change would delete."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user
from wtforms import HiddenField, StringField

from portal.core.clock import now_ms
from portal.core.errors import InvalidInput
from portal.core.translation import gettext as _
from portal.core.translation import lazy_gettext
from portal.records import retention
from portal.records.retention import ExpiryPreview
from portal.records.rules.retention_kinds import RetentionKind
from portal.settings.app_settings import current_retention_days
from portal.settings.rules.app_config import DEFINITIONS
from portal.settings.rules.retention_settings import MAX_RETENTION_DAYS, MIN_RETENTION_DAYS
from portal.web.access import allow
from portal.web.base_form import PortalForm

pages = Blueprint("sysadmin_retention", __name__, url_prefix="/SysAdmin/Retention")


def _days_field(kind: RetentionKind) -> StringField:
    return StringField(lazy_gettext(DEFINITIONS[kind.setting].label))


class RetentionForm(PortalForm):
    """A field for each kind, and whether the change is to be saved. `base` is what was in force when it was begun."""

    bodies = _days_field(RetentionKind.BODIES)
    events = _days_field(RetentionKind.EVENTS)
    deliveries = _days_field(RetentionKind.DELIVERIES)
    inbound = _days_field(RetentionKind.INBOUND)
    audit = _days_field(RetentionKind.AUDIT)
    step = StringField()
    base = HiddenField()

    @property
    def days(self) -> dict[RetentionKind, int | None]:
        """Raises `InvalidInput`."""
        return retention.parse_days({kind: self[kind.value].data for kind in RetentionKind})


@pages.get("")
@allow("sysadmin")
def page() -> ResponseReturnValue:
    days = current_retention_days()
    return _page(
        RetentionForm(data={kind.value: str(days.get(kind, "")) for kind in RetentionKind} | {"base": _base()})
    )


def _base() -> str:
    days = current_retention_days()
    return " ".join(str(days.get(kind, "-")) for kind in RetentionKind)


@pages.post("")
@allow("sysadmin")
def change() -> ResponseReturnValue:
    """First what it would delete, then save it."""
    form, at_ms = RetentionForm(), now_ms()
    try:
        days = form.days
    except InvalidInput as error:
        return _page(form.with_errors(error))
    if form.base.data != _base():
        form.base.data = _base()
        changed = _(
            "Somebody changed retention while you were editing. Your numbers are still here: compare them with what is "
            "kept now, then save."
        )
        return _page(form.with_errors(InvalidInput({"base": changed})))
    if form.step.data != "save":
        return _page(form, retention.preview(days, at_ms))
    retention.save_days(days, current_user.id, at_ms)
    flash(_("Retention is saved. What is older is deleted in the coming night."), "info")
    return redirect(url_for(".page"), 303)


def _page(form: RetentionForm, preview: list[ExpiryPreview] | None = None) -> ResponseReturnValue:
    values: dict[str, Any] = {"least": MIN_RETENTION_DAYS, "most": MAX_RETENTION_DAYS}
    html = render_template(
        "sysadmin/retention/page.html",
        form=form,
        kinds=list(RetentionKind),
        kept=retention.kept_records(),
        definitions=DEFINITIONS,
        preview=preview,
        **values,
    )
    return html, 422 if form.errors else 200

"""Administration → People → Attributes: declare, change and remove them."""

from collections.abc import Callable, Sequence

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user
from wtforms import HiddenField

from portal.accounts import attribute_management
from portal.accounts.attribute_checks import AttributeInUse, AttributeUse
from portal.accounts.rules.attribute_values import AttributeKind
from portal.accounts.tables.attributes import Attribute, all_attributes, count_values
from portal.core.clock import now_ms
from portal.core.errors import ActionRefused, InvalidInput
from portal.core.extensions import db
from portal.core.translation import gettext as _
from portal.operations.attribute_uses import attribute_uses
from portal.web.access import allow
from portal.web.admin.accounts.attribute_form import AttributeForm
from portal.web.base_form import PortalForm
from portal.web.request_input import parse_version

pages = Blueprint("admin_attributes", __name__, url_prefix="/Admin/Attributes")
_USE_URLS: dict[str, Callable[[int], str]] = {
    "template": lambda target_id: url_for("admin_templates.edit", template_id=target_id),
    "draft": lambda target_id: url_for("admin_templates.edit", template_id=target_id),
    "audience": lambda target_id: url_for("admin_audiences.edit", audience_id=target_id),
    "send": lambda target_id: url_for("admin_sends.show", send_id=target_id),
    "schedule": lambda target_id: url_for("admin_schedules.show", schedule_id=target_id),
}
"""Where each kind of use is shown."""


class RemovalForm(PortalForm):
    """`values` is how many accounts had a value when the removal was confirmed."""

    values = HiddenField(filters=[parse_version])


@pages.get("")
@allow("admin")
def listing() -> str:
    return render_template(
        "admin/attributes/index.html", attributes=all_attributes(), counts=count_values(), kinds=_kind_labels()
    )


@pages.get("/new")
@allow("admin")
def new() -> ResponseReturnValue:
    return _editor(None, AttributeForm())


@pages.post("/new")
@allow("admin")
def create() -> ResponseReturnValue:
    form = AttributeForm()
    try:
        attribute_management.add_attribute(form.definition, current_user.id, now_ms())
    except InvalidInput as error:
        return _editor(None, form.with_errors(error))
    return _back_to_list(_("Attribute “%(label)s” is added.", label=form.label.data))


@pages.get("/<id:attribute_id>")
@allow("admin")
def edit(attribute_id: int) -> ResponseReturnValue:
    attribute = _attribute(attribute_id)
    return _editor(attribute, AttributeForm.of(attribute.definition))


@pages.post("/<id:attribute_id>")
@allow("admin")
def save(attribute_id: int) -> ResponseReturnValue:
    form = AttributeForm()
    if db.session.get(Attribute, attribute_id) is None:
        removed = _("Somebody removed this attribute in the meantime. Your input is still here: add it again.")
        return _editor(None, form.with_errors(InvalidInput({"base": removed})))
    try:
        attribute_management.change_attribute(
            attribute_id, form.definition, attribute_uses, current_user.id, now_ms(), form.base_definition
        )
    except InvalidInput as error:
        attribute = _attribute(attribute_id)
        return _editor(attribute, form.rebased_on(attribute.definition).with_errors(error))
    return _back_to_list(_("Attribute “%(label)s” is saved.", label=form.label.data))


@pages.get("/<id:attribute_id>/remove")
@allow("admin")
def confirm_removal(attribute_id: int) -> ResponseReturnValue:
    attribute = _attribute(attribute_id)
    return _removal_page(attribute, attribute_uses(attribute.key))


@pages.post("/<id:attribute_id>/remove")
@allow("admin")
def remove(attribute_id: int) -> ResponseReturnValue:
    label, confirmed_values = _attribute(attribute_id).label, RemovalForm().values.data
    try:
        attribute_management.remove_attribute(attribute_id, attribute_uses, confirmed_values, current_user.id, now_ms())
    except AttributeInUse as error:
        return _removal_page(_attribute(attribute_id), error.uses), 422
    except ActionRefused as error:
        return _removal_page(_attribute(attribute_id), (), error.message), 422
    return _back_to_list(_("Attribute “%(label)s” is removed.", label=label))


def _attribute(attribute_id: int) -> Attribute:
    return db.session.get(Attribute, attribute_id) or abort(404)


def _kind_labels() -> dict[str, str]:
    return {kind.value: _(kind.label) for kind in AttributeKind}


def _editor(attribute: Attribute | None, form: AttributeForm) -> ResponseReturnValue:
    values = count_values().get(attribute.id, 0) if attribute else 0
    page = render_template("admin/attributes/editor.html", attribute=attribute, form=form, values=values)
    return page, 422 if form.errors else 200


def _removal_page(attribute: Attribute, uses: Sequence[AttributeUse], problem: str = "") -> str:
    return render_template(
        "admin/attributes/remove.html",
        attribute=attribute,
        uses=[(use.description, _USE_URLS[use.kind](use.target_id)) for use in uses],
        values=count_values().get(attribute.id, 0),
        problem=problem,
    )


def _back_to_list(message: str) -> ResponseReturnValue:
    flash(message, "info")
    return redirect(url_for("admin_attributes.listing"), 303)

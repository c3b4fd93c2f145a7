"""Setup → organization: the name, the public address, the region, the time zone and the language."""

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user
from wtforms import SelectField, StringField

from portal.core.clock import now_ms
from portal.core.context import settings
from portal.core.errors import InvalidInput
from portal.core.rules import text_input
from portal.core.rules.time_zones import timezone_choices
from portal.core.translation import LANGUAGES, lazy_gettext
from portal.core.translation import gettext as _
from portal.settings.app_settings import configuration
from portal.settings.installation import is_fixed
from portal.settings.organisation_changes import MAX_NAME_LENGTH
from portal.settings.rules.app_config import VARIABLES
from portal.settings.rules.installation_settings import INSTALLATION_FIELDS, TIME_ZONE
from portal.setup.organisation_step import OrganisationInput, save_organisation
from portal.web.access import allow
from portal.web.base_form import PortalForm
from portal.web.organisation_files import page_organisation

pages = Blueprint("setup_organisation", __name__, url_prefix="/SysAdmin/Setup/Organization")


class OrganisationForm(PortalForm):
    name = StringField(lazy_gettext("Name"))
    public_url = StringField(lazy_gettext("Public address"), filters=[text_input.clean_code])
    region = StringField(lazy_gettext("Region"), filters=[text_input.clean_code])
    time_zone = StringField(lazy_gettext("Time zone"), filters=[text_input.clean_code])
    language = SelectField(lazy_gettext("Language of the portal"), choices=lambda: LANGUAGES, validate_choice=False)


@pages.get("")
@allow("sysadmin")
def page() -> ResponseReturnValue:
    data = {"name": page_organisation().saved_name, **_in_force()}
    if not (is_fixed(TIME_ZONE) or configuration(TIME_ZONE).values.get(TIME_ZONE)):
        data["time_zone"] = ""
    return _render(OrganisationForm(formdata=None, data=data))


@pages.post("")
@allow("sysadmin")
def save() -> ResponseReturnValue:
    form = OrganisationForm()
    fields = {field: form[field].data for field in INSTALLATION_FIELDS.values() if form[field].raw_data}
    try:
        save_organisation(OrganisationInput(form.name.data, **fields), current_user.id, now_ms())
    except InvalidInput as error:
        return _render(form.with_errors(error))
    flash(_("Organization saved."), "info")
    return redirect(url_for("setup_checklist.page"), 303)


def _in_force() -> dict[str, str]:
    return {field: getattr(settings(), field) for field in INSTALLATION_FIELDS.values()}


def _render(form: OrganisationForm) -> ResponseReturnValue:
    fixed = {field: VARIABLES[name] for name, field in INSTALLATION_FIELDS.items() if is_fixed(name)}
    page = render_template(
        "setup/organization.html",
        form=form,
        fixed=fixed,
        in_force=_in_force(),
        cities=timezone_choices(),
        languages=LANGUAGES,
        max_length=MAX_NAME_LENGTH,
    )
    return page, 422 if form.errors else 200

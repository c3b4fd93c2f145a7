"""System → Settings → Organization: names, accent color and logo, and how both looks show them."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user
from flask_wtf.file import FileField
from werkzeug.exceptions import RequestEntityTooLarge
from wtforms import HiddenField, StringField

from portal.content.message_templates import sample_link
from portal.content.text_content import organisation_names
from portal.core.clock import now_ms
from portal.core.context import settings
from portal.core.errors import InvalidInput
from portal.core.translation import gettext as _
from portal.core.translation import lazy_gettext, ngettext
from portal.messages.rules import sms_segments
from portal.messages.rules.named_texts import plain_name, subject_room, with_organisation_name
from portal.messages.rules.sms_lookalikes import transliterate
from portal.settings import organisation_changes
from portal.settings.rules.accent_color import AccentColorError, build_accent, parse_color
from portal.settings.rules.logo_image import MAX_LOGO_BYTES, too_large_message
from portal.settings.tables.setting_values import history_entries
from portal.web.access import allow
from portal.web.base_form import PortalForm
from portal.web.organisation_files import page_organisation
from portal.web.paging import paginate
from portal.web.request_input import parse_version, query_id, query_text

pages = Blueprint("sysadmin_organisation", __name__, url_prefix="/SysAdmin/AppConfig/Organization")
_DEFAULT_COLOR = "#14609c"
_PAGE_SIZE = 20
_ENOUGH_FOR_SUBJECTS = 60
"""Characters: few subjects are longer."""


class ProfileForm(PortalForm):
    """`base_ms` is when the organisation was last changed when editing began."""

    name = StringField(lazy_gettext("Name"))
    text_name = StringField(lazy_gettext("Name in texts"))
    accent_color = StringField(lazy_gettext("Accent color"))
    base_ms = HiddenField()


class LogoForm(PortalForm):
    logo = FileField(lazy_gettext("Image file"))


@pages.get("")
@allow("sysadmin")
def page() -> ResponseReturnValue:
    return _render(_stored_form())


@pages.post("")
@allow("sysadmin")
def save() -> ResponseReturnValue:
    form = ProfileForm()
    try:
        base_ms = parse_version(form.base_ms.data)
        values = form.name.data, form.accent_color.data, base_ms, current_user.id, now_ms(), form.text_name.data
        organisation_changes.save_profile(*values)
    except InvalidInput as error:
        form.with_errors(error)
        form.base_ms.data = str(page_organisation().changed_at_ms)
        return _render(form, code=422)
    notices = filter(None, (_text_cost_notice(form.name.data), _subject_room_notice()))
    return _saved(_("Name and color saved. %(notice)s", notice=" ".join(notices)).rstrip())


@pages.post("/Logo")
@allow("sysadmin")
def save_logo() -> ResponseReturnValue:
    form = LogoForm()
    content = form.logo.data.read(MAX_LOGO_BYTES + 1) if form.logo.data else b""
    try:
        organisation_changes.save_logo(content, current_user.id, now_ms())
    except InvalidInput as error:
        return _render(_stored_form(), form.with_errors(error), 422)
    return _saved(_("Logo saved."))


@pages.post("/Logo/Remove")
@allow("sysadmin")
def remove_logo() -> ResponseReturnValue:
    organisation_changes.remove_logo(current_user.id, now_ms())
    return _saved(_("The logo was removed."))


@pages.get("/Preview")
@allow("sysadmin")
def preview() -> str:
    return render_template("sysadmin/organisation/_preview.html", **_preview_of(query_text("accent_color")))


@pages.errorhandler(RequestEntityTooLarge)
def _refuse_large_upload(_error: RequestEntityTooLarge) -> ResponseReturnValue:
    """Raised by the length that the request announces, before its body is read."""
    form = LogoForm(formdata=None)
    form.logo.errors = [too_large_message()]
    return _render(_stored_form(), form, 413)


def _stored_form() -> ProfileForm:
    stored = page_organisation()
    names = {"name": stored.saved_name, "text_name": stored.saved_text_name}
    data = {**names, "accent_color": stored.accent_color, "base_ms": str(stored.changed_at_ms)}
    return ProfileForm(formdata=None, data=data)


def _render(form: ProfileForm, logo_form: LogoForm | None = None, code: int = 200) -> ResponseReturnValue:
    before = query_id("before") if request.method == "GET" else None
    page = render_template(
        "sysadmin/organisation/page.html",
        form=form,
        logo_form=logo_form or LogoForm(formdata=None),
        default_name=settings().organisation,
        text_start=with_organisation_name("", organisation_names()),
        room_notice=_subject_room_notice(),
        page=paginate(history_entries(_PAGE_SIZE + 1, organisation_changes.SETTINGS, before), _PAGE_SIZE, before),
        **_preview_of(page_organisation().accent_color if form.accent_color.errors else form.accent_color.data),
    )
    return page, code


def _preview_of(text: str) -> dict[str, Any]:
    """`color` is "" for the default. Of a color that cannot be used, only the `problem`."""
    try:
        color = parse_color(text) if text.strip() else ""
        return {"color": color, "accent": build_accent(color or _DEFAULT_COLOR), "problem": ""}
    except AccentColorError as error:
        return {"color": "", "accent": None, "problem": str(error)}


def _text_cost_notice(name: str) -> str:
    characters = sms_segments.measure_sms(transliterate(name).text).ucs2_characters
    if not characters:
        return ""
    return _(
        "Texts with the name need more segments, because of %(characters)s. Content blocks shows how many.",
        characters=" ".join(characters),
    )


def _subject_room_notice() -> str:
    """If most subjects would be cut."""
    names = organisation_names()
    room = subject_room(sample_link(), names)
    if room >= _ENOUGH_FOR_SUBJECTS:
        return ""
    return ngettext(
        "Texts begin with “%(name)s” and have room for %(num)s character of the subject. Enter a shorter name in "
        "texts, or subjects are cut.",
        "Texts begin with “%(name)s” and have room for %(num)s characters of the subject. Enter a shorter name in "
        "texts, or subjects are cut.",
        room,
        name=plain_name(names[0]),
    )


def _saved(message: str) -> ResponseReturnValue:
    flash(message, "info")
    return redirect(url_for(".page"), 303)

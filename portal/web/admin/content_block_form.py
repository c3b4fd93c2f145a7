"""The forms that save and restore versions of a content block."""

from wtforms import HiddenField, TextAreaField

from portal.web.base_form import PortalForm
from portal.web.request_input import parse_version


class RestoreForm(PortalForm):
    """`base_version` is the version that was in use when the page was opened."""

    base_version = HiddenField(filters=[parse_version])


class ContentBlockForm(RestoreForm):
    text = TextAreaField("Content")

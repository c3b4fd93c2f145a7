"""System → test harness: the form for a test text."""

from wtforms import SelectField, TextAreaField

from portal.core.translation import lazy_gettext
from portal.operations import test_messages
from portal.web.base_form import PhoneForm


class TestTextForm(PhoneForm):
    """`refusal` says why no test text can be sent. The action checks the sender, which may have changed since."""

    body = TextAreaField(lazy_gettext("Text"))
    sender = SelectField(lazy_gettext("Send from"), choices=test_messages.available_senders, validate_choice=False)
    refusal: str | None = None

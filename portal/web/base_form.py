"""The base of every form class: cleaned text, and one error for each field.

The CSRF token is checked before a view runs (`csrf` in `portal.core.extensions`).
"""

from collections.abc import Callable, Mapping
from typing import Any, Self

from flask import request
from flask_wtf import FlaskForm
from werkzeug.datastructures import CombinedMultiDict, MultiDict
from wtforms import Field, FileField, PasswordField, SelectField, StringField, TelField

from portal.core.context import settings
from portal.core.errors import InvalidInput, NumberUnconfirmed
from portal.core.rules import text_input
from portal.core.rules.phone import example_phone
from portal.core.translation import gettext as _
from portal.core.translation import lazy_gettext
from portal.web.request_input import parse_id


def words(labels: Mapping[Any, Any]) -> Callable[[], dict[str, str]]:
    """The choices of a field: values with labels that are still to be translated for whoever sees the form."""
    return lambda: {value: str(label) for value, label in labels.items()}


class PortalForm(FlaskForm):  # type: ignore[misc]
    class Meta(FlaskForm.Meta):  # type: ignore[misc]
        def wrap_formdata(self, form: Any, formdata: Any) -> Any:
            """Flask-WTF would read a JSON body as a form, and a file as the value of a field for text."""
            values = None if request.is_json else super().wrap_formdata(form, formdata)
            if not isinstance(values, CombinedMultiDict):
                return values
            uploads = request.files.items(multi=True)
            files = [(name, file) for name, file in uploads if name in form and isinstance(form[name], FileField)]
            # The one place that reads the submitted values for every form.
            return CombinedMultiDict((MultiDict(files), request.form))

        def bind_field(self, form: Any, unbound_field: Any, options: dict[str, Any]) -> Any:
            """Clean all text but passwords, before the field's own filters. A missing field is empty."""
            kind = unbound_field.field_class
            if issubclass(kind, StringField | SelectField):
                clean = str if issubclass(kind, PasswordField) else text_input.clean_for_storage
                options["filters"] = (
                    lambda value: clean(value) if isinstance(value, str) else "",
                    *unbound_field.kwargs.get("filters", ()),
                )
            return unbound_field.bind(form=form, **options)

    @property
    def error_messages(self) -> dict[str, str]:
        return {name: messages[0] for name, messages in self.errors.items()}

    def with_errors(self, error: InvalidInput, otherwise: str = "") -> Self:
        """This form, with what an action refused as the errors of its fields, or of the field `otherwise`."""
        for name, message in (error.errors_by_key if otherwise else error.errors).items():
            self[name if name in self else otherwise].errors = [message]
        return self


class IdsField(Field):  # type: ignore[misc]
    """Check boxes; the data are the ids that are checked. Anything else is ignored."""

    def process_formdata(self, valuelist: list[str]) -> None:
        self.data = [id for text in valuelist if (id := parse_id(text))]


class PhoneForm(PortalForm):
    """`number_to_confirm` is an unusual number that is accepted once a person confirms its digits."""

    number = TelField(lazy_gettext("Phone number"))
    confirmed_phone = StringField(filters=[text_input.clean_code])
    number_to_confirm = ""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.number.description = _(
            "Such as %(example)s. For other countries, start with + and the country code.",
            example=example_phone(settings().region),
        )

    def with_errors(self, error: InvalidInput, otherwise: str = "") -> Self:
        self.number_to_confirm = error.phone_number if isinstance(error, NumberUnconfirmed) else ""
        return super().with_errors(error, otherwise)

"""The fields that choose an audience, for every form that sends."""

from collections.abc import Mapping
from typing import Any

from wtforms import RadioField, SelectField, TextAreaField

from portal.accounts.tables.accounts import account_types
from portal.core.rules import csv_input, text_input
from portal.core.rules.csv_input import CsvError
from portal.core.translation import lazy_gettext
from portal.web.base_form import PortalForm

_AUDIENCES = {
    "all": lazy_gettext("Everyone with an account"),
    "account_type": lazy_gettext("Everyone with one account type"),
    "external_ids": lazy_gettext("Individual accounts"),
}


class AudienceForm(PortalForm):
    """`audience` has no default, so that without one nobody is sent to."""

    audience = RadioField(
        lazy_gettext("Who should receive it?"), name="audience_type", choices=_AUDIENCES, validate_choice=False
    )
    account_type = SelectField(lazy_gettext("Account type"), choices=account_types, validate_choice=False)
    external_ids = TextAreaField(
        lazy_gettext("Account numbers"), description=lazy_gettext("Enter one account number on each line.")
    )

    @property
    def typed_audience(self) -> tuple[str, ...]:
        return self.audience.data, self.account_type.data, self.external_ids.data

    @property
    def chosen_audience(self) -> dict[str, Any]:
        """As `portal.sends` stores it."""
        if self.audience.data == "account_type":
            return {"account_type": self.account_type.data}
        if self.audience.data == "external_ids":
            return {"external_ids": _external_ids(self.external_ids.data)}
        return {"all": True} if self.audience.data == "all" else {}


def initial_audience(audience: Mapping[str, Any]) -> dict[str, Any]:
    """The values of the fields for a stored audience."""
    ids = "\n".join(audience.get("external_ids", ()))
    return {"audience": next(iter(audience)), "account_type": audience.get("account_type"), "external_ids": ids}


def _external_ids(text: str) -> list[str]:
    """Account numbers separated by spaces, commas or line breaks, or a pasted CSV with an `external_id` column."""
    try:
        values = csv_input.read_values(text_input.clean_csv(text), "external_id")
    except CsvError:
        values = [text_input.clean_code(text)]
    return list(dict.fromkeys(external_id for value in values for external_id in value.split()))

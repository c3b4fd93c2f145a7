"""The fields that choose an audience, for every form that sends."""

import json
from collections.abc import Mapping
from typing import Any

from flask import url_for
from flask_wtf.file import FileField
from wtforms import RadioField, SelectField, StringField, TextAreaField

from portal.accounts.tables.accounts import account_types
from portal.core.clock import now_ms
from portal.core.errors import InvalidInput
from portal.core.rules import csv_input, text_input
from portal.core.rules.csv_input import CsvError
from portal.core.translation import gettext as _
from portal.core.translation import lazy_gettext
from portal.sends.audience_resolution import audience_problem, resolve_audience
from portal.sends.tables.audience import count_deactivated, count_recipients
from portal.sends.tables.saved_audiences import saved_audience_names
from portal.web.admin.sends.condition_rows import ConditionRows, ConditionsField, condition_rows
from portal.web.base_form import PortalForm, words
from portal.web.request_input import parse_id

_AUDIENCES = {
    "all": lazy_gettext("Everyone with an account"),
    "account_type": lazy_gettext("Everyone with one account type"),
    "conditions": lazy_gettext("Everyone who meets conditions"),
    "saved_audience": lazy_gettext("A saved audience"),
    "external_ids": lazy_gettext("Individual accounts"),
}
_MATCHES = {"all": lazy_gettext("All of these are true"), "any": lazy_gettext("Any of these is true")}
_WITH_STAFF = ("all", "account_type", "conditions")
"""Whoever names accounts means them, and a saved audience has its own answer."""
_MAX_ADDRESS = 1_500
_MAX_LISTED = 20_000
"""A longer list would not fit in the form of the next page."""


class AudienceForm(PortalForm):
    """`audience` has no default, so that without one nobody is sent to."""

    audience = RadioField(
        lazy_gettext("Who should receive it?"), name="audience_type", choices=words(_AUDIENCES), validate_choice=False
    )
    account_type = SelectField(lazy_gettext("Account type"), choices=account_types, validate_choice=False)
    match = RadioField(lazy_gettext("Which conditions?"), choices=words(_MATCHES), default="all", validate_choice=False)
    conditions = ConditionsField(lazy_gettext("Conditions"))
    saved_audience = SelectField(lazy_gettext("Saved audience"), choices=saved_audience_names, validate_choice=False)
    external_ids = TextAreaField(
        lazy_gettext("Account numbers"), description=lazy_gettext("Enter one account number on each line.")
    )
    accounts_file = FileField(
        lazy_gettext("Or choose a file"),
        description=lazy_gettext(
            "A CSV with a column “external_id”, or one account number on each line. It replaces what is entered above."
        ),
    )
    include_staff = StringField(lazy_gettext("Include administrators"))
    """A checkbox: empty or not."""

    offers_saved_audiences = True

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._file_problem = ""
        if file := self.accounts_file.data:
            file.seek(0)  # another form of this request may have read it
            self._read_file(file.read())

    def _read_file(self, raw: bytes) -> None:
        """Show its account numbers in the field for typing."""
        self.audience.data = "external_ids"
        try:
            external_ids = _external_ids(csv_input.decode_csv(raw).text)
        except CsvError as error:
            self._file_problem = error.message
            return
        self.external_ids.data = "\n".join(external_ids)

    @property
    def typed_audience(self) -> tuple[str, ...]:
        return (
            self.audience.data,
            self.account_type.data,
            self.external_ids.data,
            self.match.data,
            self.conditions.data,
            self.saved_audience.data,
            self.include_staff.data,
        )

    @property
    def chosen_audience(self) -> dict[str, Any]:
        """As `portal.sends` stores it. Raises `InvalidInput` for a list that cannot be read."""
        if problem := self._list_problem():
            raise InvalidInput({"audience": problem})
        kind = self.audience.data
        chosen = self._chosen_kind(kind)
        return {**chosen, "staff": False} if kind in _WITH_STAFF and not self.include_staff.data else chosen

    def _chosen_kind(self, kind: str) -> dict[str, Any]:
        if kind == "account_type":
            return {"account_type": self.account_type.data}
        if kind == "external_ids":
            return {"external_ids": _external_ids(self.external_ids.data)}
        if kind == "conditions":
            return {"conditions": self.conditions.conditions, "match": self.match.data}
        if kind == "saved_audience":
            return {"saved_audience": parse_id(self.saved_audience.data)}
        return {"all": True} if kind == "all" else {}

    def _list_problem(self) -> str:
        if self._file_problem:
            return self._file_problem
        if self.audience.data != "external_ids" or len(_external_ids(self.external_ids.data)) <= _MAX_LISTED:
            return ""
        return _("A list can have at most %(limit)s account numbers.", limit=_MAX_LISTED)

    @property
    def condition_rows(self) -> ConditionRows:
        return condition_rows(self.conditions, with_problems=bool(self.audience.errors))

    @property
    def audience_count(self) -> int | None:
        """How many people the choice describes now; None while it is incomplete."""
        try:
            audience = resolve_audience(self.chosen_audience, now_ms())
        except InvalidInput:
            return None
        return None if audience_problem(audience, now_ms()) else count_recipients(audience)

    @property
    def deactivated_count(self) -> int:
        """Of a complete choice."""
        return count_deactivated(resolve_audience(self.chosen_audience, now_ms()))

    @property
    def people_url(self) -> str:
        """A page with the people of a complete choice; empty for a list that is too long for an address."""
        audience = json.dumps(self.chosen_audience)
        return url_for("admin_audiences.people", audience=audience) if len(audience) <= _MAX_ADDRESS else ""


def initial_audience(audience: Mapping[str, Any]) -> dict[str, Any]:
    """The values of the fields for a stored audience."""
    has_staff = audience.get("staff") is not False and any(kind in audience for kind in _WITH_STAFF)
    return {
        "audience": next((kind for kind in _AUDIENCES if audience.get(kind)), ""),
        "account_type": audience.get("account_type"),
        "external_ids": "\n".join(audience.get("external_ids", ())),
        "match": audience.get("match", "all"),
        "conditions": json.dumps(audience.get("conditions", [])),
        "saved_audience": str(audience.get("saved_audience", "")),
        "include_staff": "yes" if has_staff else "",
    }


def _external_ids(text: str) -> list[str]:
    """Account numbers separated by spaces, commas or line breaks, or a pasted CSV with an `external_id` column."""
    try:
        values = csv_input.read_values(text_input.clean_csv(text), "external_id")
    except CsvError:
        values = [text_input.clean_code(text)]
    return list(dict.fromkeys(external_id for value in values for external_id in value.split()))

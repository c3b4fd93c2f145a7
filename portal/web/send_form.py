"""The form of a send: a template, an audience, and values for the template's own fields."""

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from portal.actions.sends import SendPlan, plan_send
from portal.actions.templates import data_fields, required_fields
from portal.clock import now_ms
from portal.domain import csv_input, text_input
from portal.domain.csv_input import CsvError
from portal.domain.merge import MergeError
from portal.models.template import TemplateVersion, by_key, version_of
from portal.web.parsing import typed


@dataclass(frozen=True)
class SendForm:
    """What was chosen; `to` is all, type or numbers."""

    version: TemplateVersion
    fields: tuple[str, ...]
    required: tuple[str, ...]
    to: str = "all"
    account_type: str = ""
    numbers: str = ""
    data: Mapping[str, str] = field(default_factory=dict)
    nonce: str = field(default_factory=lambda: secrets.token_urlsafe(12))

    @property
    def request_key(self) -> str:
        """The same for the same choices in the same form: Back, reload and a double click all lead to the one send."""
        chosen = [self.key, self.to, self.account_type, self.numbers, sorted(self.data.items())]
        return f"{self.nonce}:{hashlib.sha256(json.dumps(chosen).encode()).hexdigest()[:24]}"

    @property
    def key(self) -> str:
        return self.version.template.key

    @property
    def audience(self) -> dict[str, Any]:
        """As in the API."""
        if self.to == "type":
            return {"account_type": self.account_type}
        if self.to == "numbers":
            return {"external_ids": _external_ids(self.numbers)}
        return {"all": True} if self.to == "all" else {}

    def plan(self) -> SendPlan:
        """Raises `Invalid`."""
        return plan_send(self.key, self.audience, self.data, now_ms())


def _external_ids(text: str) -> list[str]:
    """As they were typed or pasted: with spaces or marks between them, or as a table that has a column of them."""
    try:
        found = csv_input.values(text_input.table(text), "external_id")
    except CsvError:
        found = [text_input.code(text)]
    return list(dict.fromkeys(number for value in found for number in value.split()))


def empty(template_key: str) -> SendForm | None:
    """The form for a template; None when there is none with this key."""
    template = by_key(template_key)
    if template is None:
        return None
    version = version_of(template)
    return SendForm(version, data_fields(version), _required(version))


def _required(version: TemplateVersion) -> tuple[str, ...]:
    """None of a template that has a mistake, which the plan says."""
    try:
        return required_fields(version)
    except MergeError:
        return ()


def filled() -> SendForm | None:
    form = empty(typed("template"))
    if form is None:
        return None
    return SendForm(
        version=form.version,
        fields=form.fields,
        required=form.required,
        to=typed("to"),
        account_type=typed("account_type"),
        numbers=typed("numbers"),
        data={name: text_input.lines(typed(f"data.{name}")).strip() for name in form.fields},
        nonce=typed("nonce")[:40] or form.nonce,
    )

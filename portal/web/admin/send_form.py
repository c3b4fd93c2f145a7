"""The form of a send: a template, an audience, and values for the template's `data.…` fields."""

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from portal.content.message_templates import data_fields, required_fields
from portal.content.rules.merge_fields import MergeError
from portal.content.tables.templates import TemplateVersion, find_template, find_template_version
from portal.core.clock import now_ms
from portal.core.rules import csv_input, text_input
from portal.core.rules.csv_input import CsvError
from portal.sends.send_creation import SendPlan, plan_send
from portal.web.request_input import form_text


@dataclass(frozen=True)
class SendForm:
    """`audience_type` is “all”, “account_type” or “external_ids”."""

    version: TemplateVersion
    fields: tuple[str, ...]
    required: tuple[str, ...]
    audience_type: str = "all"
    account_type: str = ""
    external_ids_text: str = ""
    data: Mapping[str, str] = field(default_factory=dict)
    form_id: str = field(default_factory=lambda: secrets.token_urlsafe(12))

    @property
    def request_key(self) -> str:
        """Equal for equal values of one form, so that Back, reload and a double click lead to the same send."""
        values = [self.key, self.audience_type, self.account_type, self.external_ids_text, sorted(self.data.items())]
        return f"{self.form_id}:{hashlib.sha256(json.dumps(values).encode()).hexdigest()[:24]}"

    @property
    def key(self) -> str:
        return self.version.template.key

    @property
    def audience(self) -> dict[str, Any]:
        """As `portal.sends` stores it."""
        if self.audience_type == "account_type":
            return {"account_type": self.account_type}
        if self.audience_type == "external_ids":
            return {"external_ids": _external_ids(self.external_ids_text)}
        return {"all": True} if self.audience_type == "all" else {}

    def plan(self) -> SendPlan:
        """Raises `InvalidInput`."""
        return plan_send(self.key, self.audience, self.data, now_ms())


def _external_ids(text: str) -> list[str]:
    """Account numbers separated by spaces, commas or line breaks, or a pasted CSV with an `external_id` column."""
    try:
        values = csv_input.read_values(text_input.clean_csv(text), "external_id")
    except CsvError:
        values = [text_input.clean_code(text)]
    return list(dict.fromkeys(external_id for value in values for external_id in value.split()))


def blank_send_form(template_key: str) -> SendForm | None:
    """None if there is no template with this key."""
    template = find_template(template_key)
    if template is None:
        return None
    version = find_template_version(template)
    return SendForm(version, data_fields(version), _required(version))


def _required(version: TemplateVersion) -> tuple[str, ...]:
    """Empty for a template with an error, which the plan reports."""
    try:
        return required_fields(version)
    except MergeError:
        return ()


def submitted_send_form() -> SendForm | None:
    form = blank_send_form(form_text("template"))
    if form is None:
        return None
    return replace(
        form,
        audience_type=form_text("audience_type"),
        account_type=form_text("account_type"),
        external_ids_text=form_text("external_ids"),
        data={name: text_input.clean_lines(form_text(f"data.{name}")).strip() for name in form.fields},
        form_id=form_text("form_id")[:40] or form.form_id,
    )

"""The form of a send: a template, an audience, and values for the template's own fields."""

import hashlib
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from portal.actions.sends import SendPlan, plan_send
from portal.actions.templates import data_fields
from portal.clock import now_ms
from portal.domain import text_input
from portal.models.template import TemplateVersion, by_key, version_of
from portal.web.parsing import typed

_BETWEEN_NUMBERS = re.compile(r"[\s,;]+")


@dataclass(frozen=True)
class SendForm:
    """What was chosen; `to` is all, type or numbers."""

    version: TemplateVersion
    fields: tuple[str, ...]
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
            return {
                "external_ids": list(dict.fromkeys(filter(None, _BETWEEN_NUMBERS.split(text_input.code(self.numbers)))))
            }
        return {"all": True} if self.to == "all" else {}

    def plan(self) -> SendPlan:
        """Raises `Invalid`."""
        return plan_send(self.key, self.audience, self.data, now_ms())


def empty(template_key: str) -> SendForm | None:
    """The form for a template; None when there is none with this key."""
    template = by_key(template_key)
    if template is None:
        return None
    version = version_of(template)
    return SendForm(version, data_fields(version))


def filled() -> SendForm | None:
    form = empty(typed("template"))
    if form is None:
        return None
    return SendForm(
        version=form.version,
        fields=form.fields,
        to=typed("to"),
        account_type=typed("account_type"),
        numbers=typed("numbers"),
        data={name: typed(f"data.{name}").strip() for name in form.fields},
        nonce=typed("nonce")[:40] or form.nonce,
    )

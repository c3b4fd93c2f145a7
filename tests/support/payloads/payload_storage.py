"""Puts payloads into every text of the database that pages show again, past all checks of input.

Where a table only grows, or a text is compiled, the payloads come through the package that writes it.
"""

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

from sqlalchemy import Table, select, update

from portal.consent import inbound_processing, recording
from portal.consent.rules.consent_state import EventKind
from portal.core.audit_log import record_audit_entry
from portal.core.extensions import Base, db
from portal.core.rules.text_input import clean_line
from portal.core.transaction import transaction
from portal.operations.rules.audit_labels import ACTION_LABELS
from portal.sends.fan_out import fan_out_send
from portal.sends.send_creation import create_send
from portal.settings.setting_changes import set_setting
from tests.support.payloads.payload_list import all_payloads

SHOWN = {
    "account": "external_id name email account_type",
    "alert": "subject",
    "alert_notice": "problem",
    "attempt": "sender destination provider_id error_code detail provider_response",
    "attribute": "label choices",
    "attribute_value": "value",
    "communication": "requested_sender subject",
    "communication_export": "search_line time_zone unmasked_reason problem",
    "consent_report": "error",
    "content_version": "text",
    "deactivation_day": "error",
    "delivery": "reason body error_code provider_id",
    "import_task": "file_name preview result ip user_agent",
    "mail_server": "last_error",
    "organisation": "name text_name",
    "organisation_logo": "description",
    "phone_number": "label",
    "policy_violation_count": "directive blocked page",
    "proof": "problem",
    "receipt": "error_code raw",
    "recipient_file": "file_name problem warnings",
    "recipient_row": "external_id data",
    "recipient_row_error": "column_label message",
    "rejected_webhook": "address",
    "reply_note": "text",
    "resend": "search_line",
    "saved_audience": "name",
    "saved_search": "name line",
    "schedule": "name",
    "schedule_run": "reason",
    "sending_number": "paused_reason",
    "template": "name tags",
    "template_draft": "name subject body tags variants",
    "template_variant": "subject body",
    "template_version": "subject body",
    "topic": "name description",
}
"""The columns of each table. Keys, states and digests are no text."""
_WORDS = ("subject", "body")
_COMPILED = {
    *(f"{table}.{column}" for table in ("template_draft", "template_variant", "template_version") for column in _WORDS),
    *("template_draft.variants", "content_version.text"),
}
"""Liquid that does not compile is never stored."""
_LIQUID = re.compile(r"\{[{%]")
_NUMBER_OR_DATE = re.compile(r"[\d.:-]+")


@dataclass
class PayloadSource:
    """Gives each use of a field the next payloads; after `rounds` of them, the field has held all."""

    per_text: int
    _payloads: tuple[str, ...] = field(default_factory=all_payloads)
    _uses: Counter[str] = field(default_factory=Counter)

    @property
    def rounds(self) -> int:
        return -(-len(self._payloads) // self.per_text)

    def next_text(self, field_name: str, is_compiled: bool = False) -> str:
        """Ends with a number of its own, because some columns are unique."""
        start = (self._uses[field_name] * self.per_text + crc32(field_name.encode())) % len(self._payloads)
        self._uses[field_name] += 1
        chosen = (self._payloads * 2)[start : start + self.per_text]
        kept = [text for text in chosen if not (is_compiled and _LIQUID.search(text))]
        return "\n".join([*kept, str(self._uses.total())])


def store_everywhere(source: PayloadSource, now_ms: int) -> None:
    """In rows that are there, in new ones of tables that only grow, and in a send to everybody."""
    _add_entries(source, now_ms)
    _set_business(source, now_ms)
    _send_values(source, now_ms)
    with transaction():
        for name, columns in SHOWN.items():
            _replace(Base.metadata.tables[name], columns.split(), source)


def _add_entries(source: PayloadSource, now_ms: int) -> None:
    with transaction():
        for action in ACTION_LABELS:
            texts = {name: source.next_text(f"audit_entry.detail.{name}") for name in ("reason", "note")}
            record_audit_entry(action, source.next_text("audit_entry.subject"), 5, now_ms, **texts)
        evidence = {name: source.next_text(f"consent_event.{name}") for name in ("text", "ip", "user_agent")}
        recording.record("+12025550101", EventKind.OPT_IN, "import", now_ms, now_ms, account_id=1, **evidence)
    for number in range(3):
        form = {name: source.next_text(f"inbound_message.{name}") for name in ("To", "Body")}
        call = {"MessageSid": f"SM{now_ms + number}", "From": "+12025550101", **form}
        inbound_processing.receive_inbound(call, now_ms + number)


def _set_business(source: PayloadSource, now_ms: int) -> None:
    """Each has at most 200 characters, and none that cannot be seen."""
    keys = ("LegalName", "Street", "City", "Region", "ContactFirstName", "ContactLastName", "ContactTitle")
    business = {key: clean_line(source.next_text(f"app_setting.Business.{key}")[:200]) for key in keys}
    set_setting("Business", json.dumps(business), None, now_ms)


def _send_values(source: PayloadSource, now_ms: int) -> None:
    """The values of people stand in subjects, bodies and links of what they get."""
    with transaction():
        _replace(Base.metadata.tables["account"], ["name", "account_type"], source)
        _replace(Base.metadata.tables["attribute_value"], ["value"], source)
    send_id = create_send("notice", {"all": True}, {}, 5, now_ms)
    fan_out_send(send_id, lambda: now_ms)


def _replace(table: Table, columns: Sequence[str], source: PayloadSource) -> None:
    keys = list(table.primary_key)
    for row in db.session.execute(select(*keys, *(table.c[name] for name in columns))).mappings().all():
        values = {name: _replaced(row[name], f"{table.name}.{name}", source) for name in columns}
        db.session.execute(update(table).where(*(key == row[key.name] for key in keys)).values(values))


def _replaced(value: Any, field_name: str, source: PayloadSource) -> Any:
    """Lists and objects keep their shape."""
    if isinstance(value, dict):
        return {key: _replaced(part, field_name, source) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_replaced(part, field_name, source) for part in value]
    is_text = value is None or (isinstance(value, str) and not _NUMBER_OR_DATE.fullmatch(value))
    return source.next_text(field_name, field_name in _COMPILED) if is_text else value

"""Texts from handsets: kept once by MessageSid; STOP silences the number at once, START gives its texts back."""

from collections.abc import Mapping

from portal.actions.consent import hear
from portal.actions.transaction import transaction
from portal.domain.consent import keyword
from portal.domain.phone import is_e164
from portal.models.communication import InboundMessage
from portal.models.upsert import insert_one


def take_inbound(form: Mapping[str, str], now_ms: int) -> None:
    """The same message again changes nothing: a replayed START must not undo a later STOP."""
    fields = {key: value.replace("\x00", "") for key, value in form.items()}
    provider_id = fields.get("MessageSid") or fields.get("SmsSid", "")
    if not provider_id:
        return
    row = {
        "provider_id": provider_id,
        "sender": fields.get("From", ""),
        "recipient": fields.get("To", ""),
        "body": fields.get("Body", ""),
        "raw": fields,
        "received_at_ms": now_ms,
    }
    said = keyword(fields.get("Body", ""), fields.get("OptOutType", ""))
    with transaction():
        if insert_one(InboundMessage, row, ["provider_id"]) and said and is_e164(fields.get("From", "")):
            hear(said, fields["From"], provider_id, fields.get("Body", ""), now_ms)

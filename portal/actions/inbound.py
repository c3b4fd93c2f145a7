"""Texts from handsets: kept once by MessageSid, whatever is made of them later."""

from collections.abc import Mapping

from portal.actions.transaction import transaction
from portal.models.communication import InboundMessage
from portal.models.upsert import insert_new


def take_inbound(form: Mapping[str, str], now_ms: int) -> None:
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
    with transaction():
        insert_new(InboundMessage, [row], ["provider_id"])

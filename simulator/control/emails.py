"""The received emails."""

from typing import Any

from aiohttp import web

from simulator.control.input import whole_number
from simulator.email.email_parsing import Email, email_parts
from simulator.state import STATE


async def list_emails(request: web.Request) -> web.Response:
    """`?to=` returns only the emails to one recipient, `?after=N` only those after email N."""
    store, recipient, after = request.app[STATE].store, request.query.get("to"), whole_number(request, "after")
    emails = [email for email in store.emails[after:] if recipient is None or recipient in email.recipients]
    return web.json_response({"mail": [_email_json(email, store.raw_email(email.id)) for email in emails]})


def _email_json(email: Email, raw: bytes) -> dict[str, Any]:
    parts = email_parts(raw)
    return {
        "id": email.id,
        "at_ms": email.at_ms,
        "from": email.sender,
        "to": list(email.recipients),
        "subject": email.subject,
        "message_id": email.message_id,
        "headers": parts.headers,
        "text": parts.text,
        "html": parts.html,
    }

"""Fan-out: a send becomes one communication for each account, with an email and a text or the reason why not.

In chunks, each a transaction that also moves the send's cursor; unique indexes make a second run harmless.
"""

import secrets
import string
from collections.abc import Callable
from typing import Any

from sqlalchemy import select

from portal.actions import settings as app_settings
from portal.actions.rendering import render_for
from portal.actions.sends import CHUNK, TOKEN_LENGTH, decide_for
from portal.actions.transaction import transaction
from portal.context import settings
from portal.domain.routing import Decision
from portal.extensions import db
from portal.gateways import queue
from portal.models import audience as audiences
from portal.models.account import Account
from portal.models.communication import Communication, Delivery
from portal.models.send import Send
from portal.models.upsert import insert_new

_ALPHABET = string.ascii_letters + string.digits
URGENT, BULK = 0, 1


def expand_send(send_id: int, clock: Callable[[], int], should_stop: Callable[[], bool] = lambda: False) -> None:
    """Run through the audience from where the last run got to. The first chunk already starts the sending."""
    while not should_stop() and _expand_chunk(send_id, clock()):
        queue.ring(settings().redis_url, "drain_email")
        queue.ring(settings().redis_url, "drain_sms")


def _expand_chunk(send_id: int, now_ms: int) -> bool:
    """One chunk in one transaction; False when the send is expanded."""
    with transaction() as session:
        send = session.scalars(select(Send).where(Send.id == send_id).with_for_update()).one_or_none()
        if send is None or send.state not in ("queued", "expanding"):
            return False
        accounts = audiences.accounts_after(send.audience, send.expanded_through, CHUNK)
        if not accounts:
            send.state, send.expanded_at_ms = "sending", now_ms
            return False
        _insert(send, accounts, now_ms)
        send.state, send.expanded_through = "expanding", accounts[-1].id
        send.recipients += len(accounts)
        return True


def _insert(send: Send, accounts: list[Account], now_ms: int) -> None:
    version, switches = send.version, app_settings.gateway().switches
    communications, deliveries = [], []
    for account, decision in decide_for(accounts, switches, version.sms_enabled):
        token = new_token()
        rendered = render_for(version, account, send.data, token)
        communications.append(_communication(send.id, account.id, rendered.subject, rendered.body, token, now_ms))
        common = _delivery(send.id, account.id, URGENT if version.urgent else BULK, now_ms)
        deliveries.append(common | {"channel": "email", "state": "ready", "address": account.email})
        deliveries.append(common | _text(decision, rendered.text, rendered.segments))
    insert_new(Communication, communications, ["send_id", "account_id"])
    ids = _ids_by_account(send.id, [account.id for account in accounts])
    rows = [{**row, "communication_id": ids[row.pop("account_id")]} for row in deliveries]
    insert_new(Delivery, rows, ["communication_id", "channel"])


def new_token() -> str:
    """The key of the short link: 62^8 of them, and whoever follows one must still sign in."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(TOKEN_LENGTH))


def _communication(send_id: int, account_id: int, subject: str, body: str, token: str, now_ms: int) -> dict[str, Any]:
    return {
        "send_id": send_id,
        "account_id": account_id,
        "kind": "notification",
        "subject": subject,
        "body": body,
        "token": token,
        "created_at_ms": now_ms,
    }


def _delivery(send_id: int, account_id: int, lane: int, now_ms: int) -> dict[str, Any]:
    times = dict.fromkeys(("next_at_ms", "state_at_ms", "created_at_ms"), now_ms)
    blank = {"reason": "", "body": "", "segments": 0, "attempts": 0, "error_code": ""}
    return {"send_id": send_id, "account_id": account_id, "lane": lane, **times, **blank}


def _text(decision: Decision, body: str, segments: int) -> dict[str, Any]:
    row = {"channel": "sms", "address": decision.number}
    if not decision.goes:
        return row | {"state": "skipped", "reason": str(decision.reason)}
    return row | {"state": "ready", "body": body, "segments": segments}


def _ids_by_account(send_id: int, account_ids: list[int]) -> dict[int, int]:
    query = select(Communication.account_id, Communication.id).where(
        Communication.send_id == send_id, Communication.account_id.in_(account_ids)
    )
    return {account_id: communication_id for account_id, communication_id in db.session.execute(query)}

"""The rows of one chunk of a fan-out: a communication for each recipient, with an email and a text."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from portal.accounts.tables.accounts import Recipient
from portal.accounts.tables.attributes import with_attributes
from portal.content.links import new_link_tokens
from portal.content.message_templates import attribute_fields, draft_of
from portal.content.rendering import MessageRenderer, RenderedMessage
from portal.content.rules.merge_fields import MergeError
from portal.core.rules.delivery_status import WAITING, DeliveryState
from portal.core.rules.routing import RoutingDecision, TextKind
from portal.messages.tables.lane_state import lane_position
from portal.sends.send_preview import decide_recipients, routing_query
from portal.sends.tables import recipient_files
from portal.sends.tables.sends import Send

COMMUNICATION_COLUMNS = ("send_id", "account_id", "kind", "created_at_ms", "token", "subject", "body", "language")
DELIVERY_COLUMNS = (
    *("communication_id", "channel", "address", "state", "reason", "body", "segments", "queue_position"),
    *("send_id", "lane", "attempt_count", "error_code", "created_at_ms", "state_changed_at_ms"),
    *("due_at_ms", "sms_expires_at_ms"),
)
# Plain strings, because a database driver converts each member of an enum by itself, at a multiple of the time.
_READY, _SKIPPED, _DEFERRED = (
    state.value for state in (DeliveryState.READY, DeliveryState.SKIPPED, DeliveryState.DEFERRED)
)
_REJECTED, _NOTIFICATION = DeliveryState.REJECTED.value, TextKind.NOTIFICATION.value
_NO_TEXT = "", 0

Row = tuple[Any, ...]


@dataclass(frozen=True)
class FanOutChunk:
    """Built before the transaction, so that the lock is held only briefly.

    A delivery begins with the id of its account in place of its communication, which has no id yet.
    """

    send_id: int
    account_ids: list[int]
    communications: list[Row]
    deliveries: list[Row]
    next_positions: dict[str, int]


def build_chunk(send: Send, accounts: list[Recipient], now_ms: int) -> FanOutChunk:
    query = routing_query(send.version, send.begins_at_ms, now_ms)
    accounts = with_attributes(accounts, attribute_fields(send.version))
    ids = [account.id for account in accounts]
    values = recipient_files.values_by_account(send.audience, send.data, ids)
    rows = _rows_of(send, query.sms_expires_at_ms, now_ms)
    for token, (account, decision) in zip(new_link_tokens(len(ids)), decide_recipients(accounts, query), strict=True):
        rows.add(account, decision, values[account.id], token)
    deliveries = rows.deliveries
    if send.paused_at_ms is not None:
        deliveries = [_as_paused(row, now_ms) for row in deliveries]
    return FanOutChunk(send.id, ids, rows.communications, deliveries, rows.next_positions())


def _rows_of(send: Send, expires_at_ms: int | None, now_ms: int) -> "_Rows":
    """A send takes turns with the others of its lane, so it never begins before the lane's current position."""
    template = draft_of(send.version)
    return _Rows(
        renderer=MessageRenderer(template),
        template_name=template.name,
        send_id=send.id,
        now_ms=now_ms,
        expires_at_ms=expires_at_ms,
        common=(send.id, send.lane.value, 0, "", now_ms, now_ms),
        email_position=max(send.next_email_position or 0, lane_position("email", send.lane) + 1),
        sms_position=max(send.next_sms_position or 0, lane_position("sms", send.lane) + 1),
    )


@dataclass
class _Rows:
    """`common` are the columns from `send_id` to `state_changed_at_ms`, which are the same for all deliveries."""

    renderer: MessageRenderer
    template_name: str
    send_id: int
    now_ms: int
    expires_at_ms: int | None
    common: Row
    email_position: int
    sms_position: int
    communications: list[Row] = field(default_factory=list)
    deliveries: list[Row] = field(default_factory=list)

    def add(self, account: Recipient, decision: RoutingDecision, data: Mapping[str, str], token: str) -> None:
        try:
            message = self.renderer.render(account, data, token)
        except MergeError as error:
            message = self._add_failed(account, decision, error)
        else:
            self._add_email(account, _READY, "")
            self._add_text(account.id, decision, message)
        content = token, message.subject, message.body, message.language
        self.communications.append((self.send_id, account.id, _NOTIFICATION, self.now_ms, *content))
        # a text that is not sent takes no queue position
        self.email_position += 1
        self.sms_position += decision.will_send

    def _add_failed(self, account: Recipient, decision: RoutingDecision, error: MergeError) -> RenderedMessage:
        """One recipient's values must not block the others: the error appears in place of the message."""
        reason = f"The template could not be filled in for this account: {error}"
        self._add_email(account, _REJECTED, reason)
        text = account.id, "sms", decision.phone, _REJECTED, reason, *_NO_TEXT
        self.deliveries.append((*text, self.sms_position, *self.common, self.now_ms, None))
        return RenderedMessage(self.template_name, f"This message could not be created. {error}", *_NO_TEXT)

    def _add_email(self, account: Recipient, state: str, reason: str) -> None:
        email = account.id, "email", account.email, state, reason, *_NO_TEXT
        self.deliveries.append((*email, self.email_position, *self.common, self.now_ms, None))

    def _add_text(self, account_id: int, decision: RoutingDecision, message: RenderedMessage) -> None:
        reason = decision.reason.value if decision.reason else ""
        content, state, due_at_ms = (message.text, message.segments), _READY, self.now_ms
        if not decision.will_send:
            content, state = _NO_TEXT, _SKIPPED
        elif decision.deferred_until_ms is not None:
            state, due_at_ms = _DEFERRED, decision.deferred_until_ms
        text = account_id, "sms", decision.phone, state, reason, *content
        self.deliveries.append((*text, self.sms_position, *self.common, due_at_ms, self.expires_at_ms))

    def next_positions(self) -> dict[str, int]:
        return {"next_email_position": self.email_position, "next_sms_position": self.sms_position}


def _as_paused(row: Row, now_ms: int) -> Row:
    columns = dict(zip(DELIVERY_COLUMNS, row, strict=True))
    if columns["state"] in WAITING:
        columns |= {"state": DeliveryState.PAUSED.value, "reason": "", "due_at_ms": now_ms}
    return tuple(columns.values())

"""Send communications again: the same template version and values, to the same people, each at most once.

It is chosen first and confirmed afterwards. Both the chosen people and the confirmation are rows, so that confirming
twice makes the same sends. Whether somebody gets a text is decided anew (`core.rules.routing`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, select

from portal.core.audit_log import record_audit_entry
from portal.core.errors import ActionRefused, InvalidInput
from portal.core.extensions import db
from portal.core.rules.routing import TextKind
from portal.core.rules.text_input import clean_line
from portal.core.statements import bulk_insert
from portal.core.transaction import transaction
from portal.core.translation import gettext as _
from portal.messages.tables.communications import Communication
from portal.records.rules.search_line import Viewer, parse_search_line
from portal.records.tables.search_conditions import matching
from portal.sends.send_creation import SendPlan, create_send, plan_version
from portal.sends.tables import resends
from portal.sends.tables.resends import Resend, ResendRecipient
from portal.sends.tables.sends import Send, find_by_request_key

MAX_COMMUNICATIONS = 100_000
MAX_SENDS = 20
_BATCH_SIZE = 1_000
_UNCONFIRMED_KEPT_MS = 86_400_000


@dataclass(frozen=True)
class ResendPart:
    """What would be sent again of one earlier send. `send` exists once it is confirmed; `problem` is why it cannot."""

    source: Send
    plan: SendPlan | None
    send: Send | None
    problem: str = ""


def choose_one(communication_id: int, author_id: int, now_ms: int) -> int:
    """The id of the new resend. Raises `ActionRefused` for what is not a notification of a send."""
    query = select(Communication).where(Communication.id == communication_id)
    resend = Resend(communication_id=communication_id, created_at_ms=now_ms, created_by_id=author_id)
    return _choose(query, resend)


def choose_found(line: str, viewer: Viewer, with_sms: bool, author_id: int) -> int:
    """The same for everything that a search line finds. Raises `InvalidSearch` too."""
    line = clean_line(line)
    query = matching(parse_search_line(line, viewer), with_sms)
    return _choose(query, Resend(search_line=line, created_at_ms=viewer.now_ms, created_by_id=author_id))


def _choose(query: Select[Any], resend: Resend) -> int:
    query = query.where(Communication.send_id.is_not(None), Communication.kind == TextKind.NOTIFICATION)
    columns = query.with_only_columns(Communication.id, Communication.send_id, Communication.account_id)
    first = db.session.execute(columns.limit(1)).first()
    if first is None:
        raise ActionRefused(_("None of these can be sent again: only messages of a send can."))
    if db.session.execute(columns.offset(MAX_COMMUNICATIONS).limit(1)).first():
        message = _("At most %(limit)s communications can be sent again at once. Filter the list further.")
        raise ActionRefused(message % {"limit": f"{MAX_COMMUNICATIONS:,}"})
    with transaction() as session:
        resends.delete_unconfirmed(resend.created_at_ms - _UNCONFIRMED_KEPT_MS)
        session.add(resend)
        session.flush()
        resend_id = resend.id
    sources: dict[int, int] = {}
    for batch in _batches(columns):
        _add_sources(sources, [row.send_id for row in batch])
        if len(set(sources.values())) > MAX_SENDS:
            raise ActionRefused(_("These are from too many different sends. Filter the list by send, then try again."))
        rows = [_recipient(resend_id, sources[row.send_id], row) for row in batch]
        with transaction():
            bulk_insert(ResendRecipient, rows, ["resend_id", "source_send_id", "account_id"])
    return resend_id


def _batches(query: Select[int, int | None, int]) -> Iterator[Sequence[Any]]:
    after_id = 0
    while batch := db.session.execute(
        query.where(Communication.id > after_id).order_by(Communication.id).limit(_BATCH_SIZE)
    ).all():
        yield batch
        after_id = batch[-1].id


def _add_sources(sources: dict[int, int], send_ids: Sequence[int]) -> None:
    """Map each send to the first of those with the same version and values, whose messages have the same words."""
    for send_id in set(send_ids) - set(sources):
        send = db.session.get_one(Send, send_id)
        same = [db.session.get_one(Send, other) for other in set(sources.values())]
        sources[send_id] = next((other.id for other in same if _words(other) == _words(send)), send_id)


def _words(send: Send) -> tuple[object, ...]:
    return send.template_version_id, send.data, send.audience.get("recipient_file")


def _recipient(resend_id: int, source_send_id: int, row: Any) -> dict[str, int]:
    return {
        "resend_id": resend_id,
        "source_send_id": source_send_id,
        "account_id": row.account_id,
        "communication_id": row.id,
    }


def resend_parts(resend_id: int, now_ms: int) -> list[ResendPart]:
    sources = [db.session.get_one(Send, send_id) for send_id in resends.source_send_ids(resend_id)]
    return [_part(resend_id, source, now_ms) for source in sources]


def _part(resend_id: int, source: Send, now_ms: int) -> ResendPart:
    send = find_by_request_key(_request_key(resend_id, source.id))
    if send is not None:
        return ResendPart(source, None, send)
    try:
        return ResendPart(source, plan_version(source.version, _audience(resend_id, source), source.data, now_ms), None)
    except (ActionRefused, InvalidInput) as error:
        return ResendPart(source, None, None, error.message)


def confirm_resend(resend_id: int, author_id: int, now_ms: int, undo_seconds: int = 0) -> list[int]:
    """The ids of the sends. The same resend leads to the same sends. What cannot be sent is left out.

    Raises `ActionRefused` if nothing can.
    """
    send_ids, problems = [], []
    for source_id in resends.source_send_ids(resend_id):
        try:
            source = db.session.get_one(Send, source_id)
            send_ids.append(_create_send(resend_id, source, author_id, now_ms, undo_seconds))
        except ActionRefused as error:
            problems.append(error.message)
    if not send_ids:
        raise ActionRefused(" ".join(dict.fromkeys(problems)) or _("Nobody was chosen."))
    _record_confirmation(resend_id, send_ids, author_id, now_ms)
    return send_ids


def _create_send(resend_id: int, source: Send, author_id: int, now_ms: int, undo_seconds: int) -> int:
    version, audience, key = source.version, _audience(resend_id, source), _request_key(resend_id, source.id)
    values = version.template.key, audience, source.data, author_id, now_ms, key, undo_seconds
    return create_send(*values, version=version, tries_recipients=False)


def _record_confirmation(resend_id: int, send_ids: Sequence[int], author_id: int, now_ms: int) -> None:
    with transaction() as session:
        resend = session.get_one(Resend, resend_id, with_for_update=True)
        if resend.confirmed_at_ms is None:
            resend.confirmed_at_ms, resend.search_line = now_ms, ""  # which may name a person
            detail = {"sends": ", ".join(map(str, send_ids)), "communications": count_communications(resend_id)}
            record_audit_entry("communications_sent_again", f"resend {resend_id}", author_id, now_ms, **detail)


def count_communications(resend_id: int) -> int:
    query = select(func.count()).select_from(ResendRecipient).where(ResendRecipient.resend_id == resend_id)
    return db.session.scalar(query) or 0


def sends_of_communication(communication_id: int) -> list[tuple[Resend, Send]]:
    """When this communication was sent again, and with which send."""
    found = []
    for resend, source_id in resends.confirmed_resends_of(communication_id):
        if send := find_by_request_key(_request_key(resend.id, source_id)):
            found.append((resend, send))
    return found


def _request_key(resend_id: int, source_send_id: int) -> str:
    return f"resend:{resend_id}:{source_send_id}"


def _audience(resend_id: int, source: Send) -> dict[str, Any]:
    audience: dict[str, Any] = {"resend": resend_id, "source_send": source.id}
    if file_id := source.audience.get("recipient_file"):
        audience["recipient_file"] = file_id  # for the values of each person
    return audience

"""Who looks after a reply to review, and notes about it for other administrators."""

from portal.accounts.tables.accounts import Account, administrators
from portal.consent.manual_consent import lock_reply, lock_reply_only, require_undecided
from portal.consent.tables.reply_notes import ReplyNote, notes_by_message
from portal.core.audit_log import record_audit_entry
from portal.core.errors import ActionRefused, InvalidInput
from portal.core.extensions import db
from portal.core.rules import text_input
from portal.core.transaction import transaction
from portal.core.translation import gettext as _

MAX_NOTE_LENGTH = 1_000


def assign_reply(message_id: int, to_id: int | None, seen_id: int | None, actor_id: int, now_ms: int) -> None:
    """Assign the reply, or to nobody with None. `seen_id` is the assignee that the page showed.

    Raises `InvalidInput` (field `assignee`), or `ActionRefused` if somebody has decided or assigned it meanwhile.
    """
    names = {account.id: account.name for account in administrators()}
    if to_id is not None and to_id not in names:
        raise InvalidInput({"assignee": _("Choose an administrator from the list.")})
    with transaction():
        message = lock_reply(message_id)
        require_undecided(message)
        if message.assigned_to_id == to_id:
            return
        if message.assigned_to_id != seen_id:
            raise ActionRefused(_reassigned(message.assigned_to_id))
        message.assigned_to_id = to_id
        to = names[to_id] if to_id else "nobody"
        record_audit_entry("reply_assigned", f"reply {message_id}", actor_id, now_ms, to=to)


def add_note(message_id: int, text: str, author_id: int, now_ms: int) -> None:
    """Also to a reply that is decided. The author's last note again changes nothing.

    Raises `InvalidInput` (field `note`) or `ActionRefused`.
    """
    text = text_input.clean_lines(text).strip()
    if not text:
        raise InvalidInput({"note": _("Write the note.")})
    if len(text) > MAX_NOTE_LENGTH:
        lengths = {"limit": MAX_NOTE_LENGTH, "count": len(text)}
        raise InvalidInput({"note": _("Keep the note to %(limit)s characters; this has %(count)s.", **lengths)})
    with transaction() as session:
        lock_reply_only(message_id)
        last = notes_by_message([message_id])[message_id][-1:]
        if [(note.author_id, note.text) for note in last] != [(author_id, text)]:
            session.add(ReplyNote(message_id=message_id, author_id=author_id, text=text, created_at_ms=now_ms))


def _reassigned(to_id: int | None) -> str:
    account = db.session.get(Account, to_id or 0)
    if account is None:
        return _("Nothing was changed: the reply was unassigned in the meantime.")
    return _("Nothing was changed: meanwhile the reply was assigned to %(name)s.", name=account.name)

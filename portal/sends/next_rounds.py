"""Send again to whoever a send did not reach, or to whoever has not opened it."""

from dataclasses import dataclass
from typing import Any

from portal.core.audit_log import record_audit_entry
from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.core.transaction import transaction
from portal.core.translation import gettext as _
from portal.sends.send_creation import create_send
from portal.sends.tables import rounds
from portal.sends.tables.rounds import RoundOutcome
from portal.sends.tables.sends import FINISHED_STATES, Send, find_by_request_key

UNOPENED_AFTER_DAYS = 3
_DAY_MS = 86_400_000


@dataclass(frozen=True)
class NextRound:
    """`recipients` would get the round with this number, and `earlier` has the rounds with this outcome already made.

    Rounds of both outcomes are numbered together, so that of two made at once only one begins. `problem` is why it
    cannot be made yet.
    """

    outcome: RoundOutcome
    recipients: int
    number: int
    earlier: list[Send]
    problem: str


def next_rounds(send: Send, now_ms: int) -> list[NextRound]:
    """For a send that has ended. Counting takes a second for 100,000 people, too long to do while the page polls."""
    if send.state not in FINISHED_STATES or "round_of" in send.audience or not send.recipients:
        return []
    earlier = rounds.rounds_of(send.id)
    outcomes = [outcome for outcome in RoundOutcome if not _is_too_early(send, outcome, now_ms)]
    return [_next_round(send, outcome, earlier, now_ms) for outcome in outcomes]


def _next_round(send: Send, outcome: RoundOutcome, all_rounds: list[Send], now_ms: int) -> NextRound:
    earlier = [row for row in all_rounds if row.audience.get("outcome") == outcome]
    recipients, problem = rounds.count_members(send.id, outcome, now_ms), _problem(send, outcome, all_rounds, now_ms)
    return NextRound(outcome, recipients, len(all_rounds) + 1, earlier, problem)


def _problem(send: Send, outcome: RoundOutcome, all_rounds: list[Send], now_ms: int) -> str:
    """Why a round cannot be made now: somebody whom the send or an earlier round may still reach would get it twice."""
    if "round_of" in send.audience:
        first_id = str(send.audience["round_of"])
        return _("This send is a round of send %(id)s. Send the next round from the page of that send.", id=first_id)
    if send.state not in FINISHED_STATES:
        return _("This send has not ended yet. Wait for its end, then try again.")
    if unfinished := next((row for row in all_rounds if row.state not in FINISHED_STATES), None):
        return _(
            "Send %(id)s, an earlier round, has not ended yet. Wait for its end or cancel it.", id=str(unfinished.id)
        )
    if any(_is_too_early(row, outcome, now_ms) for row in [send, *all_rounds] if row.recipients):
        return _("People are reminded at most every %(days)s days. Try again later.", days=UNOPENED_AFTER_DAYS)
    return ""


def _is_too_early(send: Send, outcome: RoundOutcome, now_ms: int) -> bool:
    """Whether whoever has not opened it was given too little time for that."""
    return outcome == RoundOutcome.UNOPENED and now_ms < send.begins_at_ms + UNOPENED_AFTER_DAYS * _DAY_MS


def start_round(
    send_id: int, outcome: RoundOutcome, number: int, author_id: int, now_ms: int, undo_seconds: int = 0
) -> int:
    """The id of a new send of the template as it is now, to the people who belong to the round at this moment.

    The same round leads to the same send. Raises `ActionRefused` if nobody is left or it is too early, and
    `InvalidInput`.
    """
    send = db.session.get(Send, send_id)
    if send is None:
        raise ActionRefused(_("There is no send %(id)s.", id=str(send_id)))
    key = rounds.round_key(send_id, number)
    existing = find_by_request_key(key)
    if existing and existing.audience["outcome"] == outcome:
        return existing.id
    all_rounds = rounds.rounds_of(send_id)
    if problem := _problem(send, outcome, all_rounds, now_ms):
        raise ActionRefused(problem)
    if number != len(all_rounds) + 1:
        raise ActionRefused(_("This round does not follow the last one. Reload the page, then try again."))
    audience: dict[str, Any] = {"round_of": send_id, "outcome": outcome, "until_ms": now_ms}
    if file_id := send.audience.get("recipient_file"):
        audience["recipient_file"] = file_id  # for the values of each person
    return create_send(send.version.template.key, audience, send.data, author_id, now_ms, key, undo_seconds)


def record_unreached_export(send_id: int, actor_id: int, now_ms: int) -> None:
    """In the audit log: who took away the list of the people whom a send did not reach."""
    with transaction():
        record_audit_entry("unreached_exported", f"send {send_id}", actor_id, now_ms)

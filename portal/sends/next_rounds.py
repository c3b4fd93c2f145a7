"""Send again to whoever a send did not reach, or to whoever has not opened it."""

from dataclasses import dataclass
from typing import Any

from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.core.translation import gettext as _
from portal.sends.rules.send_state import SendState
from portal.sends.send_creation import create_send
from portal.sends.tables import rounds
from portal.sends.tables.rounds import RoundOutcome
from portal.sends.tables.sends import FANNING_OUT_STATES, Send, find_by_request_key

UNOPENED_AFTER_DAYS = 3
_DAY_MS = 86_400_000


@dataclass(frozen=True)
class NextRound:
    """`recipients` would get the round with this number, and `earlier` has the rounds already made."""

    outcome: RoundOutcome
    recipients: int
    number: int
    earlier: list[Send]


def next_rounds(send: Send, now_ms: int) -> list[NextRound]:
    """For a send whose messages exist; people are asked a second time only some days after the first."""
    if send.state in (SendState.AWAITING_APPROVAL, *FANNING_OUT_STATES) or not send.recipients:
        return []
    outcomes = [RoundOutcome.UNREACHED]
    if now_ms >= send.begins_at_ms + UNOPENED_AFTER_DAYS * _DAY_MS:
        outcomes.append(RoundOutcome.UNOPENED)
    earlier = rounds.rounds_of(send.id)
    return [_next_round(send, outcome, earlier, now_ms) for outcome in outcomes]


def _next_round(send: Send, outcome: RoundOutcome, all_rounds: list[Send], now_ms: int) -> NextRound:
    earlier = [row for row in all_rounds if row.audience.get("outcome") == outcome]
    return NextRound(outcome, rounds.count_members(send.id, outcome, now_ms), len(earlier) + 1, earlier)


def start_round(
    send_id: int, outcome: RoundOutcome, number: int, author_id: int, now_ms: int, undo_seconds: int = 0
) -> int:
    """The id of a new send of the template as it is now, to the people who belong to the round at this moment.

    The same round leads to the same send. Raises `ActionRefused` if nobody is left, and `InvalidInput`.
    """
    send = db.session.get(Send, send_id)
    if send is None:
        raise ActionRefused(_("There is no send %(id)s.", id=str(send_id)))
    key = rounds.round_key(send_id, outcome, number)
    if existing := find_by_request_key(key):
        return existing.id
    if number > len([row for row in rounds.rounds_of(send_id) if row.audience.get("outcome") == outcome]) + 1:
        raise ActionRefused(_("This round does not follow the last one. Reload the page, then try again."))
    audience: dict[str, Any] = {"round_of": send_id, "outcome": outcome, "until_ms": now_ms}
    if file_id := send.audience.get("recipient_file"):
        audience["recipient_file"] = file_id  # for the values of each person
    return create_send(send.version.template.key, audience, send.data, author_id, now_ms, key, undo_seconds)

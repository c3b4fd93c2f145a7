"""The decision table of consent: the state of a phone number, an event, and the state afterwards.

It is defined once, and tested both with the pure function (`tests/consent/rules/test_consent_state.py`) and through the
real entry points on both databases (`tests/consent/test_consent_decision_table.py`). A and B are accounts. In the
outcomes "A" means that A gets the number's texts, "A stopped" that A would get them but for a STOP, "A dead" that the
number cannot receive texts, and "-" that nobody gets them.
"""

from collections.abc import Callable, Iterable

from portal.consent.rules.consent_state import TWILIO_UNSUBSCRIBED_CODE, EventKind, LedgerEvent, derive_state

STEP_MS = 660_000
"""Eleven minutes, after which the order of texts is certain and the number may be invited again."""
MONTH_MS = 31 * 86_400_000

SCENARIOS: dict[str, tuple[str, ...]] = {
    # one account has the number
    "never": ("A adds",),
    "invited": ("A adds", "invite A"),
    "invited long ago": ("A adds", "invite A", "a month"),
    "enabled": ("A adds", "invite A", "START"),
    "enabled on paper": ("A adds", "paper A"),
    "stop in advance": ("STOP", "A adds"),
    "stopped, invited": ("A adds", "invite A", "STOP"),
    "stopped, enabled": ("A adds", "invite A", "START", "STOP"),
    "stopped by hand": ("A adds", "invite A", "START", "manual STOP"),
    "dead": ("A adds", "invite A", "START", "30005"),
    "dead and stopped": ("A adds", "invite A", "START", "30005", "STOP"),
    "added again": ("A adds", "invite A", "START", "A removes", "A adds"),
    "removed": ("A adds", "invite A", "START", "A removes"),
    # two accounts have it
    "both, never": ("A adds", "B adds"),
    "both, A invited": ("A adds", "B adds", "invite A"),
    "both, A long ago": ("A adds", "B adds", "invite A", "a month"),
    "both, both invited": ("A adds", "B adds", "invite A", "invite B"),
    "both, B holds": ("A adds", "B adds", "invite B", "START"),
    "B holds, A invited": ("A adds", "B adds", "invite B", "START", "invite A"),
    "B holds, A long ago": ("A adds", "B adds", "invite B", "START", "invite A", "a month"),
    "B holds, stopped": ("A adds", "B adds", "invite B", "START", "STOP"),
    "B held, removed it": ("A adds", "B adds", "invite B", "START", "B removes"),
    "START for nobody": ("A adds", "B adds", "START"),
    # YES, which clears no STOP at a toll-free number
    "stopped, YES": ("A adds", "invite A", "START", "STOP", "toll-free YES"),
    "both stopped, YES": ("A adds", "B adds", "STOP", "toll-free YES"),
    "YES for A": ("A adds", "invite A", "toll-free YES"),
    # the number may have passed from A to B
    "A holds, B added": ("A adds", "invite A", "START", "B adds"),
    "A dead, B added": ("A adds", "invite A", "START", "30005", "B adds"),
    "A stopped, B added": ("A adds", "invite A", "START", "STOP", "B adds"),
    "A stopped, B asked": ("A adds", "invite A", "START", "STOP", "B adds", "request B"),
    "B asked, STOP": ("A adds", "invite A", "START", "STOP", "B adds", "request B", "STOP"),
    "B, then A asked": ("A adds", "invite A", "START", "STOP", "B adds", "request B", "request A"),
    "B asked long ago": ("A adds", "invite A", "START", "STOP", "B adds", "request B", "a month"),
    "B asked, left": ("A adds", "invite A", "START", "STOP", "B adds", "request B", "B removes", "B adds"),
    "B came and left": ("A adds", "invite A", "START", "STOP", "B adds", "B removes"),
    "A left for B, back": ("A adds", "invite A", "START", "B adds", "A removes", "A adds"),
    "START in doubt": ("A adds", "invite A", "START", "B adds", "START"),
    "A after doubt": ("A adds", "invite A", "START", "B adds", "START", "move A"),
    "B invited, 21610": ("A adds", "invite A", "START", "B adds", "invite B", "21610"),
}

EQUIVALENT_EVENTS = {
    "START": ("START", "YES"),
    "any STOP": ("STOP", "refusal", "21610", "manual STOP", "listed STOP"),
    "other words": ("HELP", "unclear"),
}
"""Events with the same effect: each becomes a column of its own in the test."""
_TOLL_FREE_YES = "toll-free YES"
START_EVENTS = (*EQUIVALENT_EVENTS["START"], _TOLL_FREE_YES)

_TABLE = """
state              | START| any STOP      | other words   | 30005         | paper A       | move A        | confirm A
never              | A    | - stopped     | -             | - dead        | A             | -             | -
invited            | A    | - stopped     | -             | - dead        | A             | -             | -
invited long ago   | A    | - stopped     | -             | - dead        | A             | -             | -
enabled            | A    | A stopped     | A             | A dead        | A             | A             | A
enabled on paper   | A    | A stopped     | A             | A dead        | A             | A             | A
stop in advance    | A    | - stopped     | - stopped     | - stopped dead| - stopped     | - stopped     | - stopped
stopped, invited   | A    | - stopped     | - stopped     | - stopped dead| - stopped     | - stopped     | - stopped
stopped, enabled   | A    | A stopped     | A stopped     | A stopped dead| A stopped     | A stopped     | A stopped
stopped by hand    | A    | A stopped     | A stopped     | A stopped dead| A stopped     | A stopped     | A stopped
dead               | A    | A stopped dead| A dead        | A dead        | A dead        | A dead        | A
dead and stopped   | A    | A stopped dead| A stopped dead| A stopped dead| A stopped dead| A stopped dead| A stopped
added again        | A    | - stopped     | -             | - dead        | A             | -             | -
removed            | -    | - stopped     | -             | - dead        | A             | -             | -
both, never        | -    | - stopped     | -             | - dead        | A             | -             | -
both, A invited    | A    | - stopped     | -             | - dead        | A             | -             | -
both, A long ago   | -    | - stopped     | -             | - dead        | A             | -             | -
both, both invited | B    | - stopped     | -             | - dead        | A             | -             | -
both, B holds      | B    | B stopped     | B             | B dead        | B             | A             | B
B holds, A invited | A    | B stopped     | B             | B dead        | B             | A             | B
B holds, A long ago| B    | B stopped     | B             | B dead        | B             | A             | B
B holds, stopped   | B    | B stopped     | B stopped     | B stopped dead| B stopped     | B stopped     | B stopped
B held, removed it | -    | - stopped     | -             | - dead        | A             | -             | -
START for nobody   | -    | - stopped     | -             | - dead        | A             | A             | -
stopped, YES       | A    | A stopped     | A stopped     | A stopped dead| A stopped     | A stopped     | A stopped
both stopped, YES  | -    | - stopped     | - stopped     | - stopped dead| - stopped     | - stopped     | - stopped
YES for A          | A    | A stopped     | A             | A dead        | A             | A             | A
A holds, B added   | -    | A stopped     | A             | A dead        | A             | A             | A
A dead, B added    | -    | A stopped dead| A dead        | A dead        | A dead        | A dead        | -
A stopped, B added | -    | A stopped     | A stopped     | A stopped dead| A stopped     | A stopped     | A stopped
A stopped, B asked | B    | A stopped     | A stopped     | A stopped dead| A stopped     | A stopped     | A stopped
B asked, STOP      | B    | A stopped     | A stopped     | A stopped dead| A stopped     | A stopped     | A stopped
B, then A asked    | A    | A stopped     | A stopped     | A stopped dead| A stopped     | A stopped     | A stopped
B asked long ago   | -    | A stopped     | A stopped     | A stopped dead| A stopped     | A stopped     | A stopped
B asked, left      | -    | A stopped     | A stopped     | A stopped dead| A stopped     | A stopped     | A stopped
B came and left    | -    | A stopped     | A stopped     | A stopped dead| A stopped     | A stopped     | A stopped
A left for B, back | -    | - stopped     | -             | - dead        | A             | -             | -
START in doubt     | -    | - stopped     | -             | - dead        | A             | A             | -
A after doubt      | A    | A stopped     | A             | A dead        | A             | A             | A
B invited, 21610   | B    | A stopped     | A stopped     | A stopped dead| A stopped     | A stopped     | A stopped
"""


def expected_outcomes(state: str) -> dict[str, str]:
    """Map events to the state afterwards, for one row of the table.

    YES at a toll-free number does what START does, but while the number is stopped it does nothing.
    """
    header, *rows = ([cell.strip() for cell in line.split("|")] for line in _TABLE.strip().splitlines())
    (row,) = (row for row in rows if row[0] == state)
    outcomes: dict[str, str] = {}
    for column, outcome in zip(header[1:], row[1:], strict=True):
        outcomes |= dict.fromkeys(EQUIVALENT_EVENTS.get(column, (column,)), outcome)
    is_stopped = "stopped" in outcomes["HELP"]
    return outcomes | {_TOLL_FREE_YES: outcomes["HELP" if is_stopped else "START"]}


def describe_state(recipient: str | None, stopped: bool, dead: bool) -> str:
    """The state of a number as the table spells it."""
    return " ".join([recipient or "-", *(["stopped"] if stopped else []), *(["dead"] if dead else [])])


def needs_review(event: str, outcome: str) -> bool:
    """Return whether the reply waits for an administrator: its meaning or its account is not clear."""
    without_texts = outcome == "-" or (event == _TOLL_FREE_YES and "stopped" in outcome)
    return event == "unclear" or (event in START_EVENTS and without_texts)


class NumberHistory:
    """The events of one number, built from steps of the table. A and B are the accounts 1 and 2.

    `number_added_ms_by_account` says when each account got the number; `removed_number_added_ms` maps a removal to when
    the account that removed the number had got it.
    """

    def __init__(self, steps: Iterable[str] = (), start_ms: int = 0) -> None:
        self.events: list[LedgerEvent] = []
        self.number_added_ms_by_account: dict[int, int] = {}
        self.removed_number_added_ms: dict[int, int] = {}
        self.at_ms = start_ms
        for step in steps:
            self.apply(step)

    def apply(self, step: str) -> None:
        self.at_ms += STEP_MS
        action, account_id = parse_step(step)
        _STEPS[action](self, account_id)

    def describe(self) -> str:
        state = derive_state(self.events)
        recipient = "AB"[state.recipient_id - 1] if state.recipient_id else None
        return describe_state(recipient, state.stopped_at_ms is not None, state.unreachable_at_ms is not None)

    def add_event(
        self, kind: EventKind, account_id: int | None = None, cannot_clear_stop: bool = False, code: str = ""
    ) -> None:
        event = LedgerEvent(
            id=len(self.events) + 1,
            kind=kind,
            at_ms=self.at_ms,
            account_id=account_id,
            account_ids=frozenset(self.number_added_ms_by_account),
            cannot_clear_stop=cannot_clear_stop,
            error_code=code,
        )
        self.events.append(event)

    def import_opt_in(self, account_id: int) -> None:
        """The opt-in is evidence only if the number is stopped or another account gets its texts."""
        state = derive_state(self.events)
        is_evidence_only = state.stopped_at_ms is not None or state.recipient_id not in (None, account_id)
        if account_id not in self.number_added_ms_by_account:
            self.add_number(account_id)
        self.add_event(EventKind.EVIDENCE if is_evidence_only else EventKind.OPT_IN, account_id)

    def add_if_on_account(self, kind: EventKind, account_id: int) -> None:
        """Add an event that only an account with the number can cause."""
        if account_id in self.number_added_ms_by_account:
            self.add_event(kind, account_id)

    def add_number(self, account_id: int) -> None:
        self.number_added_ms_by_account[account_id] = self.at_ms
        self.add_event(EventKind.ADDED, account_id)

    def remove_number(self, account_id: int) -> None:
        self.add_event(EventKind.REMOVED, account_id)
        self.removed_number_added_ms[self.events[-1].id] = self.number_added_ms_by_account.pop(account_id)

    def wait_a_month(self) -> None:
        self.at_ms += MONTH_MS


def parse_step(step: str) -> tuple[str, int]:
    """Return the action and the account it concerns (0 for none)."""
    words = step.split()
    if words[0] in ("A", "B") or words[-1] in ("A", "B"):
        name = words[0] if words[0] in ("A", "B") else words[-1]
        return " ".join(word for word in words if word != name), "AB".index(name) + 1
    return step, 0


_STEPS: dict[str, Callable[[NumberHistory, int], None]] = {
    "unclear": lambda _history, _account: None,
    "a month": lambda history, _account: history.wait_a_month(),
    "adds": lambda history, account: history.add_number(account),
    "removes": lambda history, account: history.remove_number(account),
    "invite": lambda history, account: history.add_event(EventKind.INVITED, account),
    "request": lambda history, account: history.add_event(EventKind.REQUESTED, account),
    "paper": lambda history, account: history.import_opt_in(account),
    "move": lambda history, account: history.add_if_on_account(EventKind.MOVED, account),
    "confirm": lambda history, account: history.add_if_on_account(EventKind.CONFIRMED, account),
    _TOLL_FREE_YES: lambda history, _account: history.add_event(EventKind.START, cannot_clear_stop=True),
    "30005": lambda history, _account: history.add_event(EventKind.UNREACHABLE, code="30005"),
    "HELP": lambda history, _account: history.add_event(EventKind.HELP),
    **dict.fromkeys(EQUIVALENT_EVENTS["START"], lambda history, _account: history.add_event(EventKind.START)),
    **dict.fromkeys(EQUIVALENT_EVENTS["any STOP"], lambda history, _account: history.add_event(EventKind.STOP)),
    "21610": lambda history, _account: history.add_event(EventKind.STOP, code=TWILIO_UNSUBSCRIBED_CODE),
}

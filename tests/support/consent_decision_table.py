"""The decision table of consent: how a number stands, what happens then, and how it stands afterwards.

Written once, and driven through the pure function (`test_domain_consent`) and through the real doors on both databases
(`test_consent_table`). A and B are accounts. In the outcomes "A" means that A gets the number's texts, "A stopped" that
A would get them but for a STOP, "A dead" that the number cannot receive texts, and "-" stands for nobody.
"""

from collections.abc import Callable, Iterable

from portal.consent.rules.consent_state import TWILIO_UNSUBSCRIBED_CODE, EventKind, LedgerEvent, derive_state

STEP_MS = 660_000
"""What was said eleven minutes ago was certainly said before, and the number may be invited again."""
MONTH_MS = 31 * 86_400_000

SCENARIOS: dict[str, tuple[str, ...]] = {
    # one account carries the number
    "never": ("A adds",),
    "invited": ("A adds", "invite A"),
    "invited long ago": ("A adds", "invite A", "a month"),
    "enabled": ("A adds", "invite A", "START"),
    "enabled on paper": ("A adds", "paper A"),
    "stop in advance": ("STOP", "A adds"),
    "stopped, invited": ("A adds", "invite A", "STOP"),
    "stopped, enabled": ("A adds", "invite A", "START", "STOP"),
    "stopped by hand": ("A adds", "invite A", "START", "manual STOP"),
    "expired": ("A adds", "invite A", "START", "30005"),
    "dead and stopped": ("A adds", "invite A", "START", "30005", "STOP"),
    "added again": ("A adds", "invite A", "START", "A removes", "A adds"),
    "removed": ("A adds", "invite A", "START", "A removes"),
    # two accounts carry it
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
    # YES, which at a toll-free number lifts no STOP
    "stopped, YES": ("A adds", "invite A", "START", "STOP", "toll-free YES"),
    "both stopped, YES": ("A adds", "B adds", "STOP", "toll-free YES"),
    "YES for A": ("A adds", "invite A", "toll-free YES"),
    # the number may have changed hands from A to B
    "A holds, B added": ("A adds", "invite A", "START", "B adds"),
    "A dead, B added": ("A adds", "invite A", "START", "30005", "B adds"),
    "A stopped, B added": ("A adds", "invite A", "START", "STOP", "B adds"),
    "A stopped, B wished": ("A adds", "invite A", "START", "STOP", "B adds", "wish B"),
    "B wished, STOP": ("A adds", "invite A", "START", "STOP", "B adds", "wish B", "STOP"),
    "B, then A wished": ("A adds", "invite A", "START", "STOP", "B adds", "wish B", "wish A"),
    "B wished long ago": ("A adds", "invite A", "START", "STOP", "B adds", "wish B", "a month"),
    "B wished, left": ("A adds", "invite A", "START", "STOP", "B adds", "wish B", "B removes", "B adds"),
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
"""Ways of saying the same: each is a column of its own when the table is driven."""
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
A stopped, B wished| B    | A stopped     | A stopped     | A stopped dead| A stopped     | A stopped     | A stopped
B wished, STOP     | B    | A stopped     | A stopped     | A stopped dead| A stopped     | A stopped     | A stopped
B, then A wished   | A    | A stopped     | A stopped     | A stopped dead| A stopped     | A stopped     | A stopped
B wished long ago  | -    | A stopped     | A stopped     | A stopped dead| A stopped     | A stopped     | A stopped
B wished, left     | -    | A stopped     | A stopped     | A stopped dead| A stopped     | A stopped     | A stopped
B came and left    | -    | A stopped     | A stopped     | A stopped dead| A stopped     | A stopped     | A stopped
A left for B, back | -    | - stopped     | -             | - dead        | A             | -             | -
START in doubt     | -    | - stopped     | -             | - dead        | A             | A             | -
A after doubt      | A    | A stopped     | A             | A dead        | A             | A             | A
B invited, 21610   | B    | A stopped     | A stopped     | A stopped dead| A stopped     | A stopped     | A stopped
"""


def expected_outcomes(state: str) -> dict[str, str]:
    """What happens to how the number stands then, for one row of the table.

    YES at a toll-free number does what START does, but under a STOP no more than any other word.
    """
    header, *rows = ([cell.strip() for cell in line.split("|")] for line in _TABLE.strip().splitlines())
    (row,) = (row for row in rows if row[0] == state)
    found = {}
    for column, outcome in zip(header[1:], row[1:], strict=True):
        found |= dict.fromkeys(EQUIVALENT_EVENTS.get(column, (column,)), outcome)
    return found | {_TOLL_FREE_YES: found["HELP"] if "stopped" in found["HELP"] else found["START"]}


def describe_state(holder: str | None, stopped: bool, dead: bool) -> str:
    """How a number stands, as the table spells it."""
    return " ".join([holder or "-", *(["stopped"] if stopped else []), *(["expired"] if dead else [])])


def needs_review(event: str, outcome: str) -> bool:
    """Whether the reply waits for an administrator: nobody can tell what it means, or whose the texts are."""
    without_texts = outcome == "-" or (event == _TOLL_FREE_YES and "stopped" in outcome)
    return event == "unclear" or (event in START_EVENTS and without_texts)


class NumberHistory:
    """What happened at one number, in the table's words, as the events of its ledger. A and B are the accounts 1 and 2.

    `carrying` says since when each of them has had the number, `had` since when whoever an event removed had had it.
    """

    def __init__(self, steps: Iterable[str] = (), begins_ms: int = 0) -> None:
        self.events: list[LedgerEvent] = []
        self.number_added_ms_by_account: dict[int, int] = {}
        self.removed_number_added_ms: dict[int, int] = {}
        self.at_ms = begins_ms
        for step in steps:
            self.apply(step)

    def apply(self, step: str) -> None:
        """Eleven minutes later."""
        self.at_ms += STEP_MS
        what, who = parse_step(step)
        _STEPS[what](self, who)

    def describe(self) -> str:
        now = derive_state(self.events)
        holder = "AB"[now.recipient_id - 1] if now.recipient_id else None
        return describe_state(holder, now.stopped_at_ms is not None, now.unreachable_at_ms is not None)

    def add_event(
        self, kind: EventKind, account_id: int | None = None, lifts_no_stop: bool = False, code: str = ""
    ) -> None:
        event = LedgerEvent(
            id=len(self.events) + 1,
            kind=kind,
            at_ms=self.at_ms,
            account_id=account_id,
            account_ids=frozenset(self.number_added_ms_by_account),
            cannot_clear_stop=lifts_no_stop,
            error_code=code,
        )
        self.events.append(event)

    def import_opt_in(self, account_id: int) -> None:
        """As the imports do: paper is only evidence where the number said STOP or another account holds it."""
        now = derive_state(self.events)
        moot = now.stopped_at_ms is not None or now.recipient_id not in (None, account_id)
        if account_id not in self.number_added_ms_by_account:
            self.add_number(account_id)
        self.add_event(EventKind.EVIDENCE if moot else EventKind.OPT_IN, account_id)

    def add_if_on_account(self, kind: EventKind, account_id: int) -> None:
        """What only an account that has the number can do."""
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
    """What happens, and to which account (0: to none)."""
    words = step.split()
    if words[0] in ("A", "B") or words[-1] in ("A", "B"):
        name = words[0] if words[0] in ("A", "B") else words[-1]
        return " ".join(word for word in words if word != name), "AB".index(name) + 1
    return step, 0


_STEPS: dict[str, Callable[[NumberHistory, int], None]] = {
    "unclear": lambda _story, _who: None,
    "a month": lambda story, _who: story.wait_a_month(),
    "adds": lambda story, who: story.add_number(who),
    "removes": lambda story, who: story.remove_number(who),
    "invite": lambda story, who: story.add_event(EventKind.INVITED, who),
    "wish": lambda story, who: story.add_event(EventKind.REQUESTED, who),
    "import_opt_in": lambda story, who: story.import_opt_in(who),
    "move": lambda story, who: story.add_if_on_account(EventKind.MOVED, who),
    "confirm": lambda story, who: story.add_if_on_account(EventKind.CONFIRMED, who),
    _TOLL_FREE_YES: lambda story, _who: story.add_event(EventKind.START, lifts_no_stop=True),
    "30005": lambda story, _who: story.add_event(EventKind.UNREACHABLE, code="30005"),
    "HELP": lambda story, _who: story.add_event(EventKind.HELP),
    **dict.fromkeys(EQUIVALENT_EVENTS["START"], lambda story, _who: story.add_event(EventKind.START)),
    **dict.fromkeys(EQUIVALENT_EVENTS["any STOP"], lambda story, _who: story.add_event(EventKind.STOP)),
    "21610": lambda story, _who: story.add_event(EventKind.STOP, code=TWILIO_UNSUBSCRIBED_CODE),
}

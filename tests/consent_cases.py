"""The decision table of consent: how a number stands, what happens then, and how it stands afterwards.

Written once, and driven through the pure function (`test_domain_consent`) and through the real doors on both databases
(`test_consent_table`). A and B are accounts. In the outcomes "A" means that A gets the number's texts, "A stopped" that
A would get them but for a STOP, "A dead" that the number cannot receive texts, and "-" stands for nobody.
"""

from collections.abc import Callable, Iterable

from portal.domain.consent import LEARNED, Event, Kind, standing

STEP_MS = 660_000
"""What was said eleven minutes ago was certainly said before, and the number may be invited again."""
LONG_MS = 31 * 86_400_000

STATES: dict[str, tuple[str, ...]] = {
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
    "dead": ("A adds", "invite A", "START", "30005"),
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

ALIKE = {
    "START": ("START", "YES"),
    "any STOP": ("STOP", "refusal", "21610", "manual STOP", "listed STOP"),
    "other words": ("HELP", "unclear"),
}
"""Ways of saying the same: each is a column of its own when the table is driven."""
_YES = "toll-free YES"
STARTS = (*ALIKE["START"], _YES)

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


def outcomes(state: str) -> dict[str, str]:
    """What happens to how the number stands then, for one row of the table.

    YES at a toll-free number does what START does, but under a STOP no more than any other word.
    """
    header, *rows = ([cell.strip() for cell in line.split("|")] for line in _TABLE.strip().splitlines())
    (row,) = (row for row in rows if row[0] == state)
    found = {}
    for column, outcome in zip(header[1:], row[1:], strict=True):
        found |= dict.fromkeys(ALIKE.get(column, (column,)), outcome)
    return found | {_YES: found["HELP"] if "stopped" in found["HELP"] else found["START"]}


def shown(holder: str | None, stopped: bool, dead: bool) -> str:
    """How a number stands, as the table spells it."""
    return " ".join([holder or "-", *(["stopped"] if stopped else []), *(["dead"] if dead else [])])


def asks_somebody(event: str, outcome: str) -> bool:
    """Whether the reply waits for an administrator: nobody can tell what it means, or whose the texts are."""
    without_texts = outcome == "-" or (event == _YES and "stopped" in outcome)
    return event == "unclear" or (event in STARTS and without_texts)


class Story:
    """What happened at one number, in the table's words, as the events of its ledger. A and B are the accounts 1 and 2.

    `carrying` says since when each of them has had the number, `had` since when whoever an event removed had had it.
    """

    def __init__(self, steps: Iterable[str] = (), begins_ms: int = 0) -> None:
        self.events: list[Event] = []
        self.carrying: dict[int, int] = {}
        self.had: dict[int, int] = {}
        self.at_ms = begins_ms
        for step in steps:
            self.happens(step)

    def happens(self, step: str) -> None:
        """Eleven minutes later."""
        self.at_ms += STEP_MS
        what, who = split(step)
        _STEPS[what](self, who)

    def shown(self) -> str:
        now = standing(self.events)
        holder = "AB"[now.holder - 1] if now.holder else None
        return shown(holder, now.stopped_ms is not None, now.unreachable_ms is not None)

    def add(self, kind: Kind, account_id: int | None = None, lifts_no_stop: bool = False, code: str = "") -> None:
        event = Event(
            id=len(self.events) + 1,
            kind=kind,
            at_ms=self.at_ms,
            account_id=account_id,
            carriers=frozenset(self.carrying),
            lifts_no_stop=lifts_no_stop,
            code=code,
        )
        self.events.append(event)

    def paper(self, account_id: int) -> None:
        """As the imports do: paper is only evidence where the number said STOP or another account holds it."""
        now = standing(self.events)
        moot = now.stopped_ms is not None or now.holder not in (None, account_id)
        if account_id not in self.carrying:
            self.carry(account_id)
        self.add(Kind.EVIDENCE if moot else Kind.OPT_IN, account_id)

    def by_its_account(self, kind: Kind, account_id: int) -> None:
        """What only an account that has the number can do."""
        if account_id in self.carrying:
            self.add(kind, account_id)

    def carry(self, account_id: int) -> None:
        self.carrying[account_id] = self.at_ms
        self.add(Kind.ADDED, account_id)

    def remove(self, account_id: int) -> None:
        self.add(Kind.REMOVED, account_id)
        self.had[self.events[-1].id] = self.carrying.pop(account_id)

    def wait(self) -> None:
        self.at_ms += LONG_MS


def split(step: str) -> tuple[str, int]:
    """What happens, and to which account (0: to none)."""
    words = step.split()
    if words[0] in ("A", "B") or words[-1] in ("A", "B"):
        name = words[0] if words[0] in ("A", "B") else words[-1]
        return " ".join(word for word in words if word != name), "AB".index(name) + 1
    return step, 0


_STEPS: dict[str, Callable[[Story, int], None]] = {
    "unclear": lambda _story, _who: None,
    "a month": lambda story, _who: story.wait(),
    "adds": lambda story, who: story.carry(who),
    "removes": lambda story, who: story.remove(who),
    "invite": lambda story, who: story.add(Kind.INVITED, who),
    "wish": lambda story, who: story.add(Kind.WISHED, who),
    "paper": lambda story, who: story.paper(who),
    "move": lambda story, who: story.by_its_account(Kind.MOVED, who),
    "confirm": lambda story, who: story.by_its_account(Kind.CONFIRMED, who),
    _YES: lambda story, _who: story.add(Kind.START, lifts_no_stop=True),
    "30005": lambda story, _who: story.add(Kind.UNREACHABLE, code="30005"),
    "HELP": lambda story, _who: story.add(Kind.HELP),
    **dict.fromkeys(ALIKE["START"], lambda story, _who: story.add(Kind.START)),
    **dict.fromkeys(ALIKE["any STOP"], lambda story, _who: story.add(Kind.STOP)),
    "21610": lambda story, _who: story.add(Kind.STOP, code=LEARNED),
}

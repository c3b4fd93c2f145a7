"""What a send would come to: how many mails and texts, who gets none and why, and what the texts weigh."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from portal.actions import settings as app_settings
from portal.actions.night import quiet_ends
from portal.actions.rendering import TOKEN_LENGTH, render_for
from portal.domain import quiet_hours, routing
from portal.domain.forecasting import NOTHING, Load
from portal.domain.merge import MergeError
from portal.domain.quiet_hours import EndsMs
from portal.domain.routing import Decision, Number, Reason, Switches, TextKind
from portal.models import audience as audiences
from portal.models import reach
from portal.models.account import Account
from portal.models.audience import Recipient
from portal.models.send import useful_until_ms
from portal.models.template import TemplateVersion

Someone = TypeVar("Someone", Account, Recipient)
SAMPLED = 300
"""So many people's words are written out to learn what their texts weigh; of fewer, everybody's."""


@dataclass(frozen=True)
class Outlook:
    """Exact counts of people. `reasons` are those of who gets no text, most first; `holders` hold SMS at all.

    `zones` are those of the people who get a text, of whom `resting` are in their quiet hours now.
    """

    emails: int
    texts: int
    reasons: list[tuple[Reason, int]]
    holders: int
    zones: Mapping[str, int]
    resting: int


@dataclass(frozen=True)
class Weighed:
    """`example` is one who gets a text, else one who gets the email only; None when the audience is empty."""

    load: Load
    is_exact: bool
    example: Recipient | None
    example_is_texted: bool


@dataclass(frozen=True)
class Question:
    """Whether a text of one template version goes at one moment: all of it that is the same for everybody."""

    switches: Switches
    sms_enabled: bool
    ends_ms: EndsMs
    useful_until_ms: int | None

    def decide(self, numbers: Sequence[Number], timezone: str) -> Decision:
        return routing.decide(self.switches, self.sms_enabled, numbers, self.ends_ms(timezone), self.useful_until_ms)


def question_of(version: TemplateVersion, started_ms: int, now_ms: int) -> Question:
    """`started_ms` is when the send was created."""
    switches = app_settings.gateway().switches
    held = quiet_hours.hold(TextKind.NOTIFICATION, version.urgent, switches.mode)
    ends_ms = quiet_ends(now_ms) if held else quiet_hours.nobody
    return Question(switches, version.sms_enabled, ends_ms, useful_until_ms(version, started_ms))


def decide_for(people: Sequence[Someone], question: Question) -> Iterator[tuple[Someone, Decision]]:
    """Whether a text goes to each of them, and when."""
    numbers = audiences.numbers_for_routing([person.id for person in people])
    for person in people:
        yield person, question.decide(numbers.get(person.id, []), person.timezone)


def look_ahead(version: TemplateVersion, audience: Mapping[str, Any], now_ms: int) -> Outlook:
    """By the same decision as everywhere, asked once for all that are alike."""
    question = question_of(version, now_ms, now_ms)
    people, zones, reasons = Counter[str](), Counter[str](), Counter[Reason]()
    for kind in reach.alike(audience):
        decision = question.decide(kind.numbers, kind.timezone)
        people["all"] += kind.people
        people["holders"] += kind.people if any(number.holds_sms for number in kind.numbers) else 0
        people["resting"] += kind.people if decision.waits_until_ms else 0
        if decision.goes:
            zones[kind.timezone] += kind.people
        elif decision.reason:
            reasons[decision.reason] += kind.people
    return Outlook(
        people["all"], zones.total(), reasons.most_common(), people["holders"], dict(zones), people["resting"]
    )


def weigh(version: TemplateVersion, audience: Mapping[str, Any], data: Mapping[str, str], found: Outlook) -> Weighed:
    """By the real words of some people, evenly spread."""
    people = reach.spread(audience, found.holders, SAMPLED) if found.texts else []
    asleep_too = replace(question_of(version, 0, 0), ends_ms=quiet_hours.nobody)
    texted = [person for person, decision in decide_for(people, asleep_too) if decision.goes]
    weights = [(person, segments) for person in texted if (segments := _segments(version, person, data)) is not None]
    if not weights:
        anybody = audiences.recipients_after(audience, 0, 1)
        return Weighed(NOTHING, not found.texts, anybody[0] if anybody else None, False)
    average = sum(segments for _, segments in weights) / len(weights)
    return Weighed(
        Load(found.texts, found.texts * average, found.zones, found.resting),
        len(texted) >= found.texts,
        weights[0][0],
        True,
    )


def _segments(version: TemplateVersion, person: Recipient, data: Mapping[str, str]) -> int | None:
    """None for whom the template cannot be filled in: one person's values hold up nobody else."""
    try:
        return render_for(version, person, data, "x" * TOKEN_LENGTH).segments
    except MergeError:
        return None

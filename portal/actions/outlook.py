"""What a send would come to: how many mails and texts, who gets none and why, and what the texts weigh."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from portal.actions import settings as app_settings
from portal.actions.rendering import TOKEN_LENGTH, render_for
from portal.domain import routing
from portal.domain.forecasting import NOTHING, Load
from portal.domain.merge import MergeError
from portal.domain.routing import Decision, Reason, Switches
from portal.models import audience as audiences
from portal.models import reach
from portal.models.account import Account
from portal.models.audience import Recipient
from portal.models.template import TemplateVersion

Someone = TypeVar("Someone", Account, Recipient)
SAMPLED = 300
"""So many people's words are written out to learn what their texts weigh; of fewer, everybody's."""


@dataclass(frozen=True)
class Outlook:
    """Exact counts of people. `reasons` are those of who gets no text, most first; `holders` hold SMS at all."""

    emails: int
    texts: int
    reasons: list[tuple[Reason, int]]
    holders: int


@dataclass(frozen=True)
class Weighed:
    """`example` is one who gets a text, else one who gets the email only; None when the audience is empty."""

    load: Load
    is_exact: bool
    example: Recipient | None
    example_is_texted: bool


def decide_for(people: Sequence[Someone], switches: Switches, sms_enabled: bool) -> Iterator[tuple[Someone, Decision]]:
    """Whether a text goes to each of them."""
    numbers = audiences.numbers_for_routing([person.id for person in people])
    for person in people:
        yield person, routing.decide(switches, sms_enabled, numbers.get(person.id, []))


def look_ahead(version: TemplateVersion, audience: Mapping[str, Any]) -> Outlook:
    """By the same decision as everywhere, asked once for all that are alike."""
    switches = app_settings.gateway().switches
    emails, texts, holders, reasons = 0, 0, 0, Counter[Reason]()
    for kind in reach.alike(audience):
        decision = routing.decide(switches, version.sms_enabled, kind.numbers)
        emails += kind.people
        texts += kind.people if decision.goes else 0
        holders += kind.people if any(number.holds_sms for number in kind.numbers) else 0
        if decision.reason:
            reasons[decision.reason] += kind.people
    return Outlook(emails, texts, reasons.most_common(), holders)


def weigh(version: TemplateVersion, audience: Mapping[str, Any], data: Mapping[str, str], found: Outlook) -> Weighed:
    """By the real words of some people, evenly spread."""
    people = reach.spread(audience, found.holders, SAMPLED) if found.texts else []
    switches = app_settings.gateway().switches
    texted = [person for person, decision in decide_for(people, switches, version.sms_enabled) if decision.goes]
    weights = [(person, segments) for person in texted if (segments := _segments(version, person, data)) is not None]
    if not weights:
        anybody = audiences.recipients_after(audience, 0, 1)
        return Weighed(NOTHING, not found.texts, anybody[0] if anybody else None, False)
    average = sum(segments for _, segments in weights) / len(weights)
    return Weighed(Load(found.texts, found.texts * average), len(texted) >= found.texts, weights[0][0], True)


def _segments(version: TemplateVersion, person: Recipient, data: Mapping[str, str]) -> int | None:
    """None for whom the template cannot be filled in: one person's values hold up nobody else."""
    try:
        return render_for(version, person, data, "x" * TOKEN_LENGTH).segments
    except MergeError:
        return None

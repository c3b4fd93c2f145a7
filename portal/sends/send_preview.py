"""What a send would come to: how many mails and texts, who gets none and why, and what the texts weigh."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from portal.accounts.tables import phone_numbers
from portal.accounts.tables.accounts import Account, Recipient
from portal.content.links import TOKEN_LENGTH
from portal.content.rendering import render_message
from portal.content.rules.merge_fields import MergeError
from portal.content.tables.templates import TemplateVersion
from portal.core.rules import quiet_hours, routing
from portal.core.rules.quiet_hours import QuietHoursLookup
from portal.core.rules.routing import Reason, RecipientPhone, RoutingDecision, Switches, TextKind
from portal.sends.deferred_texts import quiet_hours_lookup
from portal.sends.rules.completion_forecast import EMPTY_BACKLOG, Backlog
from portal.sends.tables import audience as audiences
from portal.sends.tables import audience_estimate
from portal.sends.tables.sends import sms_expires_at_ms
from portal.settings import app_settings

RecipientLike = TypeVar("RecipientLike", Account, Recipient)
SEGMENT_SAMPLE_SIZE = 300
"""So many people's words are written out to learn what their texts weigh; of fewer, everybody's."""


@dataclass(frozen=True)
class AudienceCounts:
    """Exact counts of people. `reasons` are those of who gets no text, most first; `holders` hold SMS at all.

    `zones` are those of the people who get a text, of whom `resting` are in their quiet hours now.
    """

    emails: int
    texts: int
    reasons: list[tuple[Reason, int]]
    sms_enabled_count: int
    zones: Mapping[str, int]
    deferred: int


@dataclass(frozen=True)
class SizeEstimate:
    """`example` is one who gets a text, else one who gets the email only; None when the audience is empty."""

    backlog: Backlog
    is_exact: bool
    example: Recipient | None
    example_gets_text: bool


@dataclass(frozen=True)
class RoutingQuery:
    """Whether a text of one template version goes at one moment: all of it that is the same for everybody."""

    switches: Switches
    sms_enabled: bool
    quiet_hours_end: QuietHoursLookup
    sms_expires_at_ms: int | None

    def decide(self, numbers: Sequence[RecipientPhone], timezone: str) -> RoutingDecision:
        return routing.route_text(
            self.switches, self.sms_enabled, numbers, self.quiet_hours_end(timezone), self.sms_expires_at_ms
        )


def routing_query(version: TemplateVersion, started_ms: int, now_ms: int) -> RoutingQuery:
    """`started_ms` is when the send was created."""
    switches = app_settings.resolve_current_gateway().switches
    held = quiet_hours.is_subject_to_quiet_hours(TextKind.NOTIFICATION, version.urgent, switches.mode)
    ends_ms = quiet_hours_lookup(now_ms) if held else quiet_hours.no_quiet_hours
    return RoutingQuery(switches, version.sms_enabled, ends_ms, sms_expires_at_ms(version, started_ms))


def decide_recipients(
    people: Sequence[RecipientLike], question: RoutingQuery
) -> Iterator[tuple[RecipientLike, RoutingDecision]]:
    """Whether a text goes to each of them, and when."""
    numbers = phone_numbers.numbers_for_routing([person.id for person in people])
    for person in people:
        yield person, question.decide(numbers.get(person.id, []), person.timezone)


def count_audience(version: TemplateVersion, audience: Mapping[str, Any], now_ms: int) -> AudienceCounts:
    """By the same decision as everywhere, asked once for all that are alike."""
    question = routing_query(version, now_ms, now_ms)
    people, zones, reasons = Counter[str](), Counter[str](), Counter[Reason]()
    for kind in audience_estimate.routing_groups(audience):
        decision = question.decide(kind.numbers, kind.timezone)
        people["all"] += kind.count
        people["holders"] += kind.count if any(number.receives_sms for number in kind.numbers) else 0
        people["resting"] += kind.count if decision.deferred_until_ms else 0
        if decision.will_send:
            zones[kind.timezone] += kind.count
        elif decision.reason:
            reasons[decision.reason] += kind.count
    return AudienceCounts(
        people["all"], zones.total(), reasons.most_common(), people["holders"], dict(zones), people["resting"]
    )


def estimate_segments(
    version: TemplateVersion, audience: Mapping[str, Any], data: Mapping[str, str], found: AudienceCounts
) -> SizeEstimate:
    """By the real words of some people, evenly spread."""
    people = (
        audience_estimate.sample_sms_holders(audience, found.sms_enabled_count, SEGMENT_SAMPLE_SIZE)
        if found.texts
        else []
    )
    asleep_too = replace(routing_query(version, 0, 0), quiet_hours_end=quiet_hours.no_quiet_hours)
    texted = [person for person, decision in decide_recipients(people, asleep_too) if decision.will_send]
    weights = [
        (person, segments) for person in texted if (segments := _segments_for(version, person, data)) is not None
    ]
    if not weights:
        anybody = audiences.recipients_after(audience, 0, 1)
        return SizeEstimate(EMPTY_BACKLOG, not found.texts, anybody[0] if anybody else None, False)
    average = sum(segments for _, segments in weights) / len(weights)
    return SizeEstimate(
        Backlog(found.texts, found.texts * average, found.zones, found.deferred),
        len(texted) >= found.texts,
        weights[0][0],
        True,
    )


def _segments_for(version: TemplateVersion, person: Recipient, data: Mapping[str, str]) -> int | None:
    """None for whom the template cannot be filled in: one person's values hold up nobody else."""
    try:
        return render_message(version, person, data, "x" * TOKEN_LENGTH).segments
    except MergeError:
        return None

"""How many people a send reaches, and how: counted for each language apart, because each has words of its own."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from portal.core.rules.limits.quiet_hours import Place
from portal.core.rules.routing import Reason


@dataclass(frozen=True)
class UnfilledMessages:
    """How many `people` these are, and an `example` of what is wrong.

    `combination` narrows an audience (`tables.audience`); None if there are none. `unchecked` people have values too
    rare to try.
    """

    people: int = 0
    example: str = ""
    combination: Mapping[str, Any] | None = None
    unchecked: int = 0


NOBODY = UnfilledMessages()


@dataclass(frozen=True)
class AudienceCounts:
    """Exact counts. `reasons` counts recipients without a text by reason, most frequent first.

    `sms_enabled_count` have a number for texts. `places` counts those who get a text, `deferred` after quiet hours: the
    first of them at `deferred_until_ms`.
    `without_message` get neither email nor text and are in no other count. `missing_values` counts them by the key of
    each attribute that the template needs and for which they have no value, `unfilled` those who have all values.
    `reached` is the audience without them. `language` is that of the words they get, and `untranslated` counts those
    of them who have chosen another one, by that.
    """

    language: str
    emails: int
    texts: int
    reasons: list[tuple[Reason, int]]
    sms_enabled_count: int
    places: Mapping[Place, int]
    deferred: int
    deferred_until_ms: int | None
    without_message: int
    missing_values: Mapping[str, int]
    unfilled: UnfilledMessages
    reached: Mapping[str, Any]
    untranslated: Mapping[str, int]
    by_language: tuple["AudienceCounts", ...] = ()
    """What this is the sum of, if it is one."""

    @property
    def parts(self) -> tuple["AudienceCounts", ...]:
        return self.by_language or (self,)


def sum_counts(parts: Sequence[AudienceCounts], audience: Mapping[str, Any]) -> AudienceCounts:
    """Of an audience that gets words in several languages."""
    if len(parts) == 1:
        return parts[0]
    return replace(
        parts[0],
        emails=sum(part.emails for part in parts),
        texts=sum(part.texts for part in parts),
        reasons=_sum_of(dict(part.reasons) for part in parts).most_common(),
        sms_enabled_count=sum(part.sms_enabled_count for part in parts),
        places=_sum_of(part.places for part in parts),
        deferred=sum(part.deferred for part in parts),
        deferred_until_ms=min((part.deferred_until_ms for part in parts if part.deferred_until_ms), default=None),
        without_message=sum(part.without_message for part in parts),
        missing_values=_sum_of(part.missing_values for part in parts),
        unfilled=_sum_of_unfilled([part.unfilled for part in parts]),
        reached=audience,
        by_language=tuple(parts),
    )


def _sum_of(counts: Iterable[Mapping[Any, int]]) -> Counter[Any]:
    total = Counter[Any]()
    for count in counts:
        total.update(count)
    return total


def _sum_of_unfilled(parts: Sequence[UnfilledMessages]) -> UnfilledMessages:
    example = next((part.example for part in parts if part.example), "")
    return UnfilledMessages(
        sum(part.people for part in parts), example, unchecked=sum(part.unchecked for part in parts)
    )

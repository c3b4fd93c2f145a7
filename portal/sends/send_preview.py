"""Preview a send: the number of emails and texts, why some get no text, and the size of the texts."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from portal.accounts.rules.recipient_places import area_of, place_of
from portal.accounts.tables import phone_numbers
from portal.accounts.tables.accounts import Account, Recipient
from portal.accounts.tables.attributes import with_attributes
from portal.content.links import TOKEN_LENGTH
from portal.content.message_templates import attribute_fields, required_attributes
from portal.content.rendering import MessageRenderer
from portal.content.rules import merge_fields
from portal.content.rules.merge_fields import MergeError
from portal.content.tables import topics
from portal.content.tables.templates import TemplateVersion
from portal.content.template_words import TemplateWords, missing_languages, words_for
from portal.core.rules import routing
from portal.core.rules.limits import quiet_hours
from portal.core.rules.limits.frequency_cap import is_subject_to_cap
from portal.core.rules.limits.quiet_hours import Place, QuietHoursLookup
from portal.core.rules.routing import Reason, RecipientPhone, RoutingDecision, Switches, TextKind
from portal.sends.deferred_texts import quiet_hours_lookup
from portal.sends.rules.audience_counts import AudienceCounts, UnfilledMessages, sum_counts
from portal.sends.rules.completion_forecast import EMPTY_BACKLOG, Backlog, sum_backlogs
from portal.sends.tables import audience as audiences
from portal.sends.tables import audience_estimate, recipient_files
from portal.sends.tables.sends import sms_expires_at_ms
from portal.sends.unfilled_messages import find_unfilled
from portal.settings import app_settings

RecipientLike = TypeVar("RecipientLike", Account, Recipient)
SEGMENT_SAMPLE_SIZE = 300
"""The texts of at most this many recipients are rendered to estimate segments."""


EVERYBODY, TEXTED, UNFILLED = "everybody", "texted", "unfilled"
WITHOUT_VALUE = "without:"
"""Followed by the key of an attribute."""
IN_LANGUAGE = "language:"
"""Followed by the language of the words that the people get."""
UNTRANSLATED = "untranslated:"
"""Followed by the language that the people have chosen, in which the template says nothing."""


@dataclass(frozen=True)
class SizeEstimate:
    """`example` gets a text if any recipient does; it is None for an empty audience."""

    backlog: Backlog
    is_exact: bool
    example: Recipient | None
    example_gets_text: bool


@dataclass(frozen=True)
class RoutingQuery:
    """The part of a routing decision that is the same for all recipients of a template version at one moment."""

    switches: Switches
    sms_enabled: bool
    quiet_hours_end: QuietHoursLookup
    sms_expires_at_ms: int | None
    now_ms: int = 0
    frequency_cap: int | None = None
    topic_id: int | None = None
    """The topic that accounts may have switched off; None for an urgent template too."""

    def decide(
        self,
        phones: Sequence[RecipientPhone],
        timezone: str,
        capped_until_ms: int | None = None,
        is_topic_off: bool = False,
    ) -> RoutingDecision:
        """`capped_until_ms`: until then the phone number gets no more texts. Only the claim decides that for good."""
        chosen = routing.choose_phone(phones)
        quiet_until_ms = self.quiet_hours_end(chosen.phone, timezone) if chosen else None
        is_beyond_cap = capped_until_ms is not None and capped_until_ms > (quiet_until_ms or self.now_ms)
        limits = quiet_until_ms, self.sms_expires_at_ms, is_beyond_cap, is_topic_off
        return routing.route_text(self.switches, self.sms_enabled, phones, *limits)


def routing_query(version: TemplateVersion, created_at_ms: int, now_ms: int) -> RoutingQuery:
    """For a send created at `created_at_ms`."""
    gateway = app_settings.resolve_current_gateway()
    switches = gateway.switches
    has_quiet_hours = quiet_hours.is_subject_to_quiet_hours(TextKind.NOTIFICATION, version.urgent, switches.mode)
    lookup = quiet_hours_lookup(gateway.limits.quiet_hours if has_quiet_hours else None, now_ms)
    is_capped = is_subject_to_cap(TextKind.NOTIFICATION, version.urgent, switches.mode)
    cap = gateway.limits.frequency_cap if is_capped else None
    topic_id = None if version.urgent else version.template.topic_id
    expires_at_ms = sms_expires_at_ms(version, created_at_ms)
    return RoutingQuery(switches, version.sms_enabled, lookup, expires_at_ms, now_ms, cap, topic_id)


def decide_recipients(
    recipients: Sequence[RecipientLike], query: RoutingQuery
) -> Iterator[tuple[RecipientLike, RoutingDecision]]:
    ids = [recipient.id for recipient in recipients]
    phones = phone_numbers.numbers_for_routing(ids)
    topic_off = topics.accounts_without_topic(query.topic_id, ids) if query.topic_id else ()
    for recipient in recipients:
        is_off = recipient.id in topic_off
        yield recipient, query.decide(phones.get(recipient.id, []), recipient.timezone, is_topic_off=is_off)


class _Share(NamedTuple):
    """Those of an audience who get the same words."""

    words: TemplateWords
    audience: Mapping[str, Any]


def _shares(version: TemplateVersion, audience: Mapping[str, Any]) -> list[_Share]:
    own, *variants = version.all_words
    if not variants:
        return [_Share(own, audience)]
    others = {**audience, "without_languages": [words.language for words in variants]}
    return [_Share(own, others), *(_Share(words, {**audience, "with_language": words.language}) for words in variants)]


def _untranslated_shares(version: TemplateVersion, audience: Mapping[str, Any], language: str) -> list[_Share]:
    if language not in missing_languages(version.all_words):
        return []
    return [_Share(version.own_words, {**audience, "with_language": language})]


def count_audience(
    version: TemplateVersion, audience: Mapping[str, Any], data: Mapping[str, str], now_ms: int
) -> AudienceCounts:
    query, missing = routing_query(version, now_ms, now_ms), missing_languages(version.all_words)
    return sum_counts([_count_share(share, query, missing, data) for share in _shares(version, audience)], audience)


def _count_share(
    share: _Share, query: RoutingQuery, missing: Collection[str], data: Mapping[str, str]
) -> AudienceCounts:
    missing_values, complete = _missing_values(share), _with_values(share)
    unfilled = find_unfilled(share.words, complete, data)
    reached = _without(complete, unfilled)
    emails = sms_enabled = 0
    places, reasons, deferred = Counter[Place](), Counter[Reason](), Counter[int]()
    for group, count in audience_estimate.routing_groups(reached, query.frequency_cap, query.now_ms, query.topic_id):
        decision = query.decide(group.phones, group.timezone, group.capped_until_ms, bool(group.is_topic_off))
        emails += count
        sms_enabled += count if any(phone.receives_sms for phone in group.phones) else 0
        if decision.deferred_until_ms:
            deferred[decision.deferred_until_ms] += count
        if decision.will_send:
            places[place_of(area_of(decision.phone), group.timezone)] += count
        elif decision.reason:
            reasons[decision.reason] += count
    return AudienceCounts(
        language=share.words.language,
        emails=emails,
        texts=places.total(),
        reasons=reasons.most_common(),
        sms_enabled_count=sms_enabled,
        places=dict(places),
        deferred=deferred.total(),
        deferred_until_ms=min(deferred, default=None),
        without_message=_count_without_values(share.audience, missing_values) + unfilled.people,
        missing_values=missing_values,
        unfilled=unfilled,
        reached=reached,
        untranslated=_untranslated(reached, missing) if share.words.is_own else {},
    )


def _untranslated(reached: Mapping[str, Any], missing: Collection[str]) -> dict[str, int]:
    if not missing:
        return {}
    counts = audiences.count_by_language(reached)
    return {language: counts[language] for language in missing if language in counts}


def _without(audience: Mapping[str, Any], unfilled: UnfilledMessages) -> Mapping[str, Any]:
    return {**audience, "without_combination": unfilled.combination} if unfilled.combination else audience


def _with_values(share: _Share) -> Mapping[str, Any]:
    """Those for whom the fan-out can make a message, as far as attributes matter."""
    keys = required_attributes(share.words)
    return {**share.audience, "with_values": keys} if keys else share.audience


def _missing_values(share: _Share) -> dict[str, int]:
    counts = {key: _count_without_values(share.audience, [key]) for key in required_attributes(share.words)}
    return {key: count for key, count in counts.items() if count}


def _count_without_values(audience: Mapping[str, Any], keys: Collection[str]) -> int:
    return audiences.count_recipients({**audience, "without_values": list(keys)}) if keys else 0


def people_behind(
    version: TemplateVersion,
    audience: Mapping[str, Any],
    data: Mapping[str, str],
    count: str,
    after_id: int,
    limit: int,
    now_ms: int,
) -> list[Recipient]:
    """The next people, by id, of one of the counts of `count_audience`.

    `count` is `EVERYBODY`, `TEXTED`, `UNFILLED`, `WITHOUT_VALUE` with a key, `IN_LANGUAGE` or `UNTRANSLATED` with a
    language, or a `Reason`: `Reason.QUIET_HOURS` are those whose text waits for the end of quiet hours.
    """
    shares = _shares(version, audience)
    if count.startswith(IN_LANGUAGE):
        shares = [share for share in shares if share.words.language == count.removeprefix(IN_LANGUAGE)]
    elif count.startswith(UNTRANSLATED):
        shares = _untranslated_shares(version, audience, count.removeprefix(UNTRANSLATED))
    query = routing_query(version, now_ms, now_ms)
    people = [person for share in shares for person in _people_of(share, query, data, count, after_id, limit)]
    return sorted(people)[:limit]


def _people_of(
    share: _Share, query: RoutingQuery, data: Mapping[str, str], count: str, after_id: int, limit: int
) -> list[Recipient]:
    if count.startswith(WITHOUT_VALUE):
        key = count.removeprefix(WITHOUT_VALUE)
        without = {**share.audience, "without_values": [key]}
        return audiences.recipients_after(without, after_id, limit) if key in required_attributes(share.words) else []
    audience = _with_values(share)
    unfilled = find_unfilled(share.words, audience, data)
    if count == UNFILLED:
        failing = {**audience, "with_combination": unfilled.combination}
        return audiences.recipients_after(failing, after_id, limit) if unfilled.combination else []
    audience = _without(audience, unfilled)

    def is_chosen(group: audience_estimate.RoutingGroup) -> bool:
        decision = query.decide(group.phones, group.timezone, group.capped_until_ms, bool(group.is_topic_off))
        return _is_counted(decision, count)

    limits = query.frequency_cap, query.now_ms, query.topic_id
    return audience_estimate.recipients_in_groups(audience, is_chosen, after_id, limit, *limits)


def _is_counted(decision: RoutingDecision, count: str) -> bool:
    if count == TEXTED:
        return decision.will_send
    return count.startswith((EVERYBODY, IN_LANGUAGE, UNTRANSLATED)) or decision.reason == count


def estimate_segments(version: TemplateVersion, data: Mapping[str, str], counts: AudienceCounts) -> SizeEstimate:
    """Exact if the text is the same for all who get the same words, otherwise from evenly spread samples."""
    estimates = [_estimate_share(version, data, part) for part in counts.parts]
    if len(estimates) == 1:
        return estimates[0]
    likely = max(estimates, key=lambda estimate: (estimate.example_gets_text, estimate.example is not None))
    return SizeEstimate(
        sum_backlogs([estimate.backlog for estimate in estimates]),
        all(estimate.is_exact for estimate in estimates),
        likely.example,
        likely.example_gets_text,
    )


def _estimate_share(version: TemplateVersion, data: Mapping[str, str], counts: AudienceCounts) -> SizeEstimate:
    audience, words = counts.reached, words_for(version.all_words, counts.language)
    if not counts.texts:
        return _empty_estimate(version, audience, data, is_exact=True)
    is_same = "recipient_file" not in audience and not merge_fields.person_fields(words.subject)
    sample = audience_estimate.sample_sms_enabled(audience, counts.sms_enabled_count, SEGMENT_SAMPLE_SIZE)
    sample = with_attributes(sample, attribute_fields(words))
    query = replace(routing_query(version, 0, 0), quiet_hours_end=quiet_hours.no_quiet_hours)
    texted = [recipient for recipient, decision in decide_recipients(sample, query) if decision.will_send]
    values = recipient_files.values_by_account(audience, data, [recipient.id for recipient in texted])
    sizes = list(islice(_text_sizes(version, texted, values), 1 if is_same else None))
    if not sizes:
        return _empty_estimate(version, audience, data, is_exact=False)
    average = sum(size for _, size in sizes) / len(sizes)
    backlog = Backlog(counts.texts, counts.texts * average, counts.places, counts.deferred)
    return SizeEstimate(backlog, is_same or len(texted) >= counts.texts, sizes[0][0], True)


def _text_sizes(
    version: TemplateVersion, recipients: Sequence[Recipient], values: Mapping[int, Mapping[str, str]]
) -> Iterator[tuple[Recipient, int]]:
    """Segments by recipient, without those for whom the template cannot be filled in."""
    renderer = MessageRenderer(version)
    for recipient in recipients:
        if (segments := _segments_for(renderer, recipient, values[recipient.id])) is not None:
            yield recipient, segments


def _empty_estimate(
    version: TemplateVersion, audience: Mapping[str, Any], data: Mapping[str, str], is_exact: bool
) -> SizeEstimate:
    return SizeEstimate(EMPTY_BACKLOG, is_exact, _example(version, audience, data), False)


def _example(version: TemplateVersion, audience: Mapping[str, Any], data: Mapping[str, str]) -> Recipient | None:
    """The first recipient; if the template needs attributes, one of a sample that has them."""
    recipients = audiences.recipients_after(audience, 0, 1)
    if recipients and (keys := attribute_fields(version)):
        sample = audience_estimate.sample_recipients(audience, SEGMENT_SAMPLE_SIZE)
        sample = with_attributes([*recipients, *sample], keys)
        renderer = MessageRenderer(version)
        recipients = [person for person in sample if _segments_for(renderer, person, data) is not None] or sample
    return next(iter(recipients), None)


def _segments_for(renderer: MessageRenderer, recipient: Recipient, data: Mapping[str, str]) -> int | None:
    """None if the template cannot be filled in for this recipient, which does not affect the others."""
    try:
        return renderer.render(recipient, data, "x" * TOKEN_LENGTH).segments
    except MergeError:
        return None

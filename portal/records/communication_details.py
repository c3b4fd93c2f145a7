"""One communication in full: its wording, what it relied on, and each attempt with the settings of that moment."""

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from portal.consent.rules.consent_labels import content_block_title
from portal.consent.tables.ledger import ConsentEvent
from portal.core.extensions import db
from portal.core.rules.routing import Mode
from portal.core.translation import N_
from portal.core.translation import gettext as _
from portal.messages.tables.communications import Attempt, Communication, Delivery
from portal.records.consent_evidence import events_relied_on
from portal.settings.setting_history import settings_in_force
from portal.settings.tables.setting_values import SettingChange

MODE_LABELS = {
    Mode.OFF: N_("Texts off"),
    Mode.LIVE: N_("Live"),
    Mode.OVERRIDE: N_("Override"),
    Mode.TEST: N_("Test mode"),
    Mode.TEST_OVERRIDE: N_("Test mode with override"),
}


@dataclass(frozen=True)
class Wording:
    """Where the words come from. `template_id` or `content_block` leads to it; neither for an answer or a test."""

    title: str
    version: int | None
    template_id: int | None = None
    content_block: str = ""


@dataclass(frozen=True)
class AttemptGroup:
    """Attempts one after another, under the same settings."""

    channel: str
    attempts: list[Attempt]
    settings: list[SettingChange]


@dataclass(frozen=True)
class CommunicationDetails:
    wording: Wording
    consent_event: ConsentEvent | None
    attempts: list[AttemptGroup]


def communication_details(communication: Communication, with_texts: bool) -> CommunicationDetails:
    event_id = events_relied_on([communication]).get(communication.id) if with_texts else None
    event = db.session.get(ConsentEvent, event_id) if event_id else None
    deliveries = [delivery for delivery in communication.deliveries if with_texts or delivery.channel == "email"]
    return CommunicationDetails(
        wording_of(communication), event, [group for delivery in deliveries for group in _groups(delivery)]
    )


def wording_of(communication: Communication) -> Wording:
    if communication.send is not None:
        version = communication.send.version
        return Wording(version.template.name, version.number, template_id=version.template_id)
    if communication.content_block:
        key = communication.content_block
        return Wording(content_block_title(key), communication.content_block_version, content_block=key)
    return Wording(_("Written by an administrator"), None)


def charge_of(attempt: Attempt) -> Decimal | None:
    """What the provider charges, as a positive number; None until it says so."""
    try:
        return abs(Decimal(attempt.price)) if attempt.price else None
    except InvalidOperation:
        return None


def _groups(delivery: Delivery) -> list[AttemptGroup]:
    groups: list[AttemptGroup] = []
    for attempt in delivery.attempt_history:
        settings = settings_in_force(attempt.started_at_ms, delivery.channel)
        if groups and _values(groups[-1].settings) == _values(settings):
            groups[-1].attempts.append(attempt)
        else:
            groups.append(AttemptGroup(delivery.channel, [attempt], settings))
    return groups


def _values(settings: list[SettingChange]) -> list[tuple[str, str]]:
    return [(entry.name, entry.new_value) for entry in settings]

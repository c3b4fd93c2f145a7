"""What the confirmation of a send predicts for each person is what the fan-out records."""

import itertools
import random
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import insert, select, update

from portal.accounts.attribute_management import add_attribute
from portal.accounts.rules.attribute_values import AttributeDefinition, AttributeKind
from portal.accounts.tables.accounts import Account
from portal.accounts.tables.attributes import AttributeValue
from portal.accounts.tables.phone_numbers import PhoneNumber, PhoneState
from portal.content import topic_management
from portal.content.message_templates import required_attributes
from portal.content.tables.templates import TemplateVersion, find_template, find_template_version
from portal.content.tables.topics import TopicOptOut
from portal.content.template_words import TemplateWords
from portal.core.clock import now_ms
from portal.core.extensions import db
from portal.core.rules.routing import Reason
from portal.core.statements import refresh_statistics
from portal.messages.tables.communications import Communication, Delivery
from portal.sends import fan_out, send_creation, send_preview
from portal.sends.send_preview import EVERYBODY, TEXTED, UNFILLED, WITHOUT_VALUE
from portal.settings import setting_changes
from tests.support import lane_driver, scenario

pytestmark = pytest.mark.usefixtures("app")
ACCOUNTS = 2_000
ALL: dict[str, Any] = {"all": True}
ZONES = ("UTC", "Africa/Abidjan", "Etc/GMT-12", "Etc/GMT+6", "America/New_York", "Asia/Kolkata")
_REASONS = [reason for reason in Reason if reason != Reason.QUIET_HOURS]
MODES: dict[str, dict[str, str]] = {
    "live": {},
    "override": {"SmsOverrideNumber": "+12025550142", "EnableSmsOverrideNumber": "true"},
    "test": {"EnableSmsTestMode": "true"},
    "off": {"EnableSmsNotifications": "false"},
    "not configured": {"SmsGatewayType": "Twilio"},
}


@pytest.fixture
def app(app: Flask) -> Flask:
    """It is night in UTC from an hour ago until three hours from now."""
    now = datetime.now(UTC)
    hours = f"{(now - timedelta(hours=1)).time()}-{(now + timedelta(hours=3)).time()}"
    app.config["PORTAL"] = replace(app.config["PORTAL"], quiet_hours=hours)
    return app


def create_accounts() -> None:
    """With numbers shared, stopped, unreachable, enabled here, elsewhere or nowhere; in several zones and types."""
    chance = random.Random(16)
    lane_driver.create_many_accounts(ACCOUNTS, "M", sms_every=ACCOUNTS)
    account_ids = list(db.session.scalars(select(Account.id).order_by(Account.id)))
    phones = [f"+1416{index:07d}" for index in range(2_000_000, 2_000_000 + ACCOUNTS)]
    enabled: set[str] = set()
    rows = []
    for account_id in account_ids:
        for phone in chance.sample(phones, chance.choice([0, 1, 1, 2, 3, 4])):
            is_enabled = phone not in enabled and chance.random() < 0.6
            enabled.update([phone] if is_enabled else [])
            rows.append({"account_id": account_id, "number": phone, "label": "", "receives_sms": is_enabled})
    db.session.execute(insert(PhoneNumber), [row | {"created_at_ms": 1} for row in rows])
    states = [{"number": phone, "stopped_at_ms": chance.choice([None, 1])} for phone in phones[::2]]
    db.session.execute(insert(PhoneState), [row | {"unreachable_at_ms": chance.choice([None, 1])} for row in states])
    for offset, zone in enumerate(ZONES):
        db.session.execute(
            update(Account).where(Account.id.in_(account_ids[offset :: len(ZONES)])).values(timezone=zone)
        )
    db.session.execute(update(Account).where(Account.id.in_(account_ids[::17])).values(active=False))
    db.session.execute(update(Account).where(Account.id.in_(account_ids[::3])).values(account_type="N"))
    refresh_statistics(Account, PhoneNumber, PhoneState)
    db.session.commit()


def predicted_outcomes(version: TemplateVersion, audience: dict[str, Any], at_ms: int) -> dict[int, str]:
    """By account: the reason for no text or a later one, `TEXTED`, `UNFILLED`, or the first value that is missing.

    Read page by page, as an administrator does.
    """
    outcomes: dict[int, str] = {}
    for key in required_attributes(version):
        for account_id in people(version, audience, f"{WITHOUT_VALUE}{key}", at_ms):
            outcomes.setdefault(account_id, f"{WITHOUT_VALUE}{key}")
    for count in (*Reason, UNFILLED, TEXTED):
        for account_id in people(version, audience, count, at_ms):
            if count != TEXTED or outcomes.get(account_id) != Reason.QUIET_HOURS:
                assert account_id not in outcomes, f"{account_id} is counted twice"
                outcomes[account_id] = count
    return outcomes


def people(version: TemplateVersion, audience: dict[str, Any], count: str, at_ms: int) -> list[int]:
    ids: list[int] = []
    while rows := send_preview.people_behind(
        version, audience, data_of(version), count, ids[-1] if ids else 0, 700, at_ms
    ):
        ids += [row.id for row in rows]
    return ids


def recorded_outcomes(send_id: int, version: TemplateVersion) -> dict[int, str]:
    required = required_attributes(version)
    query = select(Communication.account_id, Delivery.reason).join(Delivery)
    rows = db.session.execute(query.where(Delivery.send_id == send_id, Delivery.channel == "sms"))
    emails = dict(
        db.session.execute(query.where(Delivery.send_id == send_id, Delivery.channel == "email")).tuples().all()
    )
    outcomes = {account_id: _template_problem(reason, required) or reason or TEXTED for account_id, reason in rows}
    assert {account_id: _template_problem(emails[account_id], required) for account_id in outcomes} == {
        account_id: outcome if _gets_nothing(outcome) else "" for account_id, outcome in outcomes.items()
    }
    return outcomes


def _template_problem(reason: str, required: Sequence[str]) -> str:
    found = re.search("The account has no value for “(.+)”", reason)
    if found and (key := found[1].replace(" ", "_")) in required:
        return f"{WITHOUT_VALUE}{key}"
    return UNFILLED if "could not be filled in" in reason else ""


def _gets_nothing(outcome: str) -> bool:
    return outcome.startswith(WITHOUT_VALUE) or outcome == UNFILLED


@pytest.mark.parametrize("mode", MODES)
def test_every_prediction_comes_true(mode: str) -> None:
    if mode != "not configured":
        scenario.configure_gateway()
    create_accounts()
    for name, value in MODES[mode].items():
        setting_changes.set_setting(name, value, None, now_ms())
    if mode == "not configured":
        setting_changes.set_setting("EnableSmsNotifications", "true", None, now_ms())
    scenario.add_template("plain")
    assert_prediction_comes_true("plain", ALL)


@pytest.mark.parametrize(
    "changes", [{"sms_expiry_hours": "1"}, {"urgent": True}, {"sms_enabled": False}], ids=("soon", "urgent", "mail")
)
def test_prediction_for_a_template_and_a_type_comes_true(changes: dict[str, Any]) -> None:
    scenario.configure_gateway()
    create_accounts()
    scenario.add_template("changed", **changes)
    assert_prediction_comes_true("changed", {"account_type": "N"})


@pytest.mark.parametrize("changes", [{}, {"urgent": True}], ids=("plain", "urgent"))
def test_prediction_for_a_topic_that_people_switched_off_comes_true(changes: dict[str, Any]) -> None:
    """A third has; of them, only those who could get a text have this for the reason."""
    scenario.configure_gateway()
    create_accounts()
    scenario.add_template("about", **changes)
    topic_id = add_topic("about")
    account_ids = db.session.scalars(select(Account.id).order_by(Account.id)).all()
    rows = [{"account_id": each, "topic_id": topic_id, "switched_off_at_ms": 1} for each in account_ids[::3]]
    db.session.execute(insert(TopicOptOut), rows)
    db.session.commit()
    assert_prediction_comes_true("about", ALL)
    outcomes = Counter(predicted_outcomes(current_version("about"), ALL, now_ms()).values())
    assert (outcomes[Reason.TOPIC_OFF] > 100) == (not changes)


def add_topic(template_key: str) -> int:
    template = find_template(template_key)
    assert template
    return topic_management.add_topic("Exams", "When your exam is.", [template.id], None, now_ms())


@pytest.mark.parametrize("mode", ["live", "off"])
@pytest.mark.parametrize("audience", [ALL, {"account_type": "N", "staff": False}], ids=("all", "type"))
def test_people_without_a_value_are_predicted_to_get_nothing(mode: str, audience: dict[str, Any]) -> None:
    scenario.configure_gateway()
    create_accounts()
    add_values("expires_on", AttributeKind.DATE, "2027-05-28", every=3)
    add_values("region", AttributeKind.TEXT, "North", every=7)
    add_values("note", AttributeKind.TEXT, "", every=1)
    for name, value in MODES[mode].items():
        setting_changes.set_setting(name, value, None, now_ms())
    body = '{{ region }} {{ note | default: "-" }} {{ expires_on | date }}'
    scenario.add_template("values", subject="Until {{ expires_on | date }}", body=body)
    assert_prediction_comes_true("values", audience)


@pytest.mark.parametrize(
    ("subject", "body"),
    [
        ("{{ region }}", '{% if account_type == "N" %}{{ note }}{% endif %}Hello'),
        ("Hello", "{% if region %}{{ data.fee | plus: note }}{% endif %}Hello"),
        ("{{ expires_on | date }}", '{{ first_name | upcase }} {{ note | default: "2027-01-01" | date }}'),
        ('{{ note | default: "1" | plus: 2 }}', "{% if note == 5 %}{{ expires_on | date }}{% endif %}Hello"),
        ("Hello", "{% assign who = note %}{% for part in (1..2) %}{{ who | date }}{% endfor %}"),
        (
            "{% unless region %}{{ expires_on | date }}{% endunless %}Hello",
            '{% if note contains "7" %}{{ region }}{% endif %}',
        ),
    ],
    ids=("condition", "value of the send", "filter", "comparison", "loop", "two parts"),
)
def test_recipients_of_a_failing_template_are_predicted_to_get_nothing(subject: str, body: str) -> None:
    scenario.configure_gateway()
    create_accounts()
    add_values("expires_on", AttributeKind.DATE, "2027-05-28", every=3)
    add_values("region", AttributeKind.TEXT, "North", every=7)
    add_values("note", AttributeKind.TEXT, "soon", every=2, values=("1", "7", "2027-01-01", "2027-13-41"))
    scenario.add_template("risky", subject=subject, body=body)
    assert_prediction_comes_true("risky", ALL)
    assert 0 < list(predicted_outcomes(current_version("risky"), ALL, now_ms()).values()).count(UNFILLED) < ACCOUNTS


def test_prediction_for_words_in_several_languages_comes_true() -> None:
    """Each language needs values of its own, and fails for values of its own."""
    scenario.configure_gateway()
    create_accounts()
    add_values("expires_on", AttributeKind.DATE, "2027-05-28", every=3)
    add_values("region", AttributeKind.TEXT, "North", every=7)
    add_values("note", AttributeKind.TEXT, "soon", every=2, values=("1", "2027-01-01"))
    account_ids = db.session.scalars(select(Account.id).order_by(Account.id)).all()
    db.session.execute(update(Account).where(Account.id.in_(account_ids[::5])).values(language="es"))
    db.session.commit()
    spanish = TemplateWords("es", "{{ region }}", "{% if note %}{{ note | date }}{% endif %}Hola")
    scenario.add_template("several", subject="Until {{ expires_on | date }}", body="Hello", variants=(spanish,))
    assert_prediction_comes_true("several", ALL)


def test_rare_values_are_counted_as_unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portal.sends.unfilled_messages.MAX_COMBINATIONS", 3)
    scenario.configure_gateway()
    create_accounts()
    add_values("note", AttributeKind.TEXT, "soon", every=2, values=("1", "7", "2027-01-01", "2027-13-41"))
    scenario.add_template("risky", subject='{{ note | default: "5" | plus: 1 }}')
    unfilled = send_creation.plan_send("risky", ALL, {}, now_ms()).unfilled
    assert unfilled.people > 0
    assert unfilled.unchecked > 0
    assert "is not a number" in unfilled.example


def add_values(key: str, kind: AttributeKind, value: str, every: int, values: Sequence[str] = ()) -> None:
    """For all accounts but every so many; `values` follow `value` in turn."""
    attribute_id = add_attribute(AttributeDefinition(key, key.replace("_", " ").capitalize(), kind), None, now_ms())
    account_ids = db.session.scalars(select(Account.id).order_by(Account.id)).all()
    texts = itertools.cycle((value, *values))
    rows = [
        {"account_id": account_id, "attribute_id": attribute_id, "value": text, "comparable": text.casefold()}
        for index, (account_id, text) in enumerate(zip(account_ids, texts, strict=False))
        if index % every
    ]
    if rows:
        db.session.execute(insert(AttributeValue), rows)
    db.session.commit()


def data_of(version: TemplateVersion) -> dict[str, str]:
    return {"fee": "12"} if "data.fee" in version.body else {}


def current_version(key: str) -> TemplateVersion:
    template = find_template(key)
    assert template
    return find_template_version(template)


def assert_prediction_comes_true(key: str, audience: dict[str, Any]) -> None:
    version, at_ms = current_version(key), now_ms()
    predicted = predicted_outcomes(version, audience, at_ms)
    everybody = people(version, audience, EVERYBODY, at_ms)
    plan = send_creation.plan_send(key, audience, data_of(version), at_ms)
    send_id = send_creation.create_send(key, audience, data_of(version), None, at_ms, tries_recipients=False)
    fan_out.fan_out_send(send_id, lambda: at_ms)
    recorded = recorded_outcomes(send_id, version)
    assert predicted == recorded
    reached = sorted(account_id for account_id, outcome in predicted.items() if not _gets_nothing(outcome))
    assert reached == everybody
    assert (plan.emails, plan.without_message) == (len(reached), len(recorded) - len(reached))
    assert plan.missing_values == {
        key: len(people(version, audience, f"{WITHOUT_VALUE}{key}", at_ms)) for key in required_attributes(version)
    }
    assert (plan.unfilled.people, plan.unfilled.unchecked) == (list(recorded.values()).count(UNFILLED), 0)
    without_text = Counter(predicted[account_id] for account_id in reached)
    assert dict(plan.reasons) == {reason: without_text[reason] for reason in _REASONS if without_text[reason]}
    assert plan.texts == sum(outcome in (TEXTED, Reason.QUIET_HOURS) for outcome in recorded.values())

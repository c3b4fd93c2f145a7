"""While machines are upgraded one after another, a worker of the previous release may take up a new send."""

from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import select

from portal.accounts.tables.accounts import Account
from portal.core.extensions import db
from portal.core.statements import in_list
from portal.sends.send_creation import create_send
from portal.sends.tables.audience import guarded, recipients_after
from portal.sends.tables.sends import Send
from tests.support import scenario

pytestmark = pytest.mark.usefixtures("app")
_CONDITION = {"field": "timezone", "operator": "is", "value": "America/New_York"}
_CONDITIONS = {"conditions": [_CONDITION], "match": "all"}
_ROUND = {"round_of": 1, "outcome": "unreached", "until_ms": 1}


def recipients_in_previous_release(audience: Mapping[str, Any]) -> list[str]:
    """As its workers choose them: by account type, by a list of accounts, and otherwise everyone."""
    query = select(Account.external_id).order_by(Account.id)
    if "account_type" in audience:
        query = query.where(Account.account_type == audience["account_type"])
    elif "external_ids" in audience:
        query = query.where(in_list(Account.external_id, audience["external_ids"]))
    return list(db.session.scalars(query))


@pytest.mark.parametrize(
    "audience", [_CONDITIONS, {"recipient_file": 1}, {"schedule_run": 1}, _ROUND, _ROUND | {"recipient_file": 1}]
)
def test_kind_that_it_does_not_know_means_nobody_to_it(audience: dict[str, Any]) -> None:
    scenario.create_accounts(2)
    assert recipients_in_previous_release(guarded(audience)) == []


@pytest.mark.parametrize("audience", [{"all": True}, {"external_ids": ["P-0", "P-1"]}])
def test_kind_that_it_knows_means_the_same_to_it(audience: dict[str, Any]) -> None:
    scenario.create_accounts(2)
    assert recipients_in_previous_release(guarded(audience)) == ["P-0", "P-1"]


def test_send_to_people_who_meet_conditions_reaches_them_only_in_this_release() -> None:
    scenario.configure_gateway()
    scenario.create_accounts(2)
    scenario.add_template()
    zone = db.session.scalar(select(Account.timezone).limit(1))
    audience = _CONDITIONS | {"conditions": [_CONDITION | {"value": zone}]}
    stored = db.session.get_one(Send, create_send("renewal", audience, {}, None, scenario.now_ms())).audience
    assert recipients_in_previous_release(stored) == []
    assert [recipient.external_id for recipient in recipients_after(stored, 0, 9)] == ["P-0", "P-1"]

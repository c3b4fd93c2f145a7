"""Whom the demo's past texts went to, by the same decision as everything else."""

from collections.abc import Sequence

from portal.accounts.tables.accounts import Account
from portal.core.rules import quiet_hours
from portal.core.rules.routing import RoutingDecision, Switches
from portal.sends.send_preview import RoutingQuery, decide_recipients


def decide_routes(people: Sequence[Account], sms_enabled: bool) -> list[tuple[Account, RoutingDecision]]:
    question = RoutingQuery(Switches(feature_on=True), sms_enabled, quiet_hours.no_quiet_hours, None)
    return list(decide_recipients(list(people), question))

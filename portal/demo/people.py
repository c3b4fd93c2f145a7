"""Whom the demo's past texts went to, by the same decision as everything else."""

from collections.abc import Sequence

from portal.actions.outlook import decide_for
from portal.domain.routing import Decision, Switches
from portal.models.account import Account


def routed(people: Sequence[Account], sms_enabled: bool) -> list[tuple[Account, Decision]]:
    return list(decide_for(list(people), Switches(feature_on=True), sms_enabled))

"""What an audience stands for at one moment: stored account numbers, the definition of a saved one, a day."""

from collections.abc import Mapping
from typing import Any

from portal.accounts.tables.accounts import find_by_external_ids
from portal.core.rules import text_input
from portal.core.rules.time_format import format_utc
from portal.sends.tables import saved_audiences
from portal.sends.tables.rounds import RoundOutcome

Audience = Mapping[str, Any]


def resolve_audience(audience: Audience, now_ms: int) -> Audience:
    """The audience as a send keeps it, so that later edits and the passing of days do not change who it goes to.

    What cannot be resolved stays as it is, for the error message; ids that no row can have leave no audience.
    """
    if not all(_is_possible(name, value) for name, value in audience.items()):
        return {}
    if set(audience) == {"saved_audience"}:
        audience = saved_audiences.definition_of(audience["saved_audience"]) or audience
    if "conditions" in audience:
        return {**audience, "as_of": format_utc(now_ms)[:10]}
    return _with_stored_ids(audience)


def _is_possible(name: str, value: Any) -> bool:
    """The audience may come from the address of a page, and a database refuses values of the wrong type."""
    if name in ("recipient_file", "schedule_run", "round_of", "until_ms", "resend", "source_send"):
        return type(value) is int and 0 < value < 2**63
    return name != "outcome" or value in list(RoundOutcome)


def _with_stored_ids(audience: Audience) -> Audience:
    """Account numbers as stored, without duplicates. Unknown ones stay."""
    external_ids = audience.get("external_ids")
    if not isinstance(external_ids, list):
        return audience
    typed_ids = [text_input.clean_code(str(external_id)) for external_id in external_ids]
    accounts = find_by_external_ids(typed_ids)
    stored_ids = (accounts[typed].external_id if typed in accounts else typed for typed in typed_ids)
    return {**audience, "external_ids": list(dict.fromkeys(stored_ids))}

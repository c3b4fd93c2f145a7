"""What an audience stands for at one moment, and why nothing can be sent to it."""

from collections.abc import Mapping
from typing import Any

from portal.accounts.tables.accounts import account_types, find_by_external_ids
from portal.core.rules import text_input
from portal.core.rules.time_format import format_utc
from portal.core.translation import gettext as _
from portal.sends.rules.audience_conditions import conditions_problem
from portal.sends.tables import audience as audiences
from portal.sends.tables import saved_audiences
from portal.sends.tables.condition_queries import condition_fields
from portal.sends.tables.rounds import RoundOutcome

Audience = Mapping[str, Any]
_ROUND = {"round_of", "outcome", "until_ms"}
_RESEND = {"resend", "source_send"}
_FILE = {"recipient_file"}
_CHECKED_ELSEWHERE = (_FILE, _ROUND, _ROUND | _FILE, _RESEND, _RESEND | _FILE)
"""Kinds of audiences: `file_problem` says more about a file, with the template, and only the portal makes others."""


def resolve_audience(audience: Audience, now_ms: int) -> Audience:
    """The audience as a send keeps it, so that later edits and the passing of days do not change who it goes to.

    It has account numbers as stored, the definition of a saved audience, and the day. What cannot be resolved stays as
    it is, for the error message; ids that no row can have leave no audience.
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


def audience_problem(audience: Audience, now_ms: int) -> str | None:
    """Why nothing can be sent to such an audience, whoever is in it."""
    return problem_of_resolved(resolve_audience(audience, now_ms))


def problem_of_resolved(audience: Audience) -> str | None:
    kind = set(audience) - {"staff"}
    if kind == {"all"} and audience["all"] is True:
        return None
    if kind == {"schedule_run"}:
        return None
    if kind == {"conditions", "match", "as_of"}:
        return conditions_problem(audience, condition_fields())
    if kind == {"saved_audience"}:
        return _("This saved audience is archived or does not exist. Choose another one.")
    if kind == {"account_type"}:
        wanted, types = audience["account_type"], account_types()
        problem = _(
            "No account has the type “%(type)s”. The types are: %(types)s.", type=wanted, types=", ".join(types)
        )
        return None if wanted in types else problem
    if kind in _CHECKED_ELSEWHERE:
        return None
    if kind == {"external_ids"} and isinstance(audience["external_ids"], list):
        return _ids_problem([str(external_id) for external_id in audience["external_ids"]])
    return _("Choose everyone, an account type, conditions, a saved audience, or individual accounts.")


def emptiness_problem(audience: Audience) -> str | None:
    if not audiences.is_empty(audience):
        return None
    if "all" in audience:
        return _("There are no accounts to send to yet.")
    if "round_of" in audience:
        return _("Nobody is left in this round.")
    return _("Nobody is in this audience at the moment, so nothing was sent.")


def _ids_problem(external_ids: list[str]) -> str | None:
    if not external_ids:
        return _("Enter at least one account number.")
    unknown = audiences.unknown_external_ids(external_ids)
    if not unknown:
        return None
    listed, more = ", ".join(unknown[:5]), len(unknown) - 5
    if more <= 0:
        return _("These account numbers do not exist: %(accounts)s. Nothing was sent.", accounts=listed)
    return _(
        "These account numbers do not exist: %(accounts)s and %(more)s more. Nothing was sent.",
        accounts=listed,
        more=more,
    )

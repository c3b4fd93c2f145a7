"""The checks of what Twilio is told about consent, and of the lists of deactivated numbers."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from portal.core.translation import N_, ngettext
from portal.core.translation import gettext as _
from portal.operations.rules.checks import CheckResult, CheckSpec

CONSENT_REPORTS = CheckSpec("Portal", N_("Consent reported to Twilio"))
DEACTIVATIONS = CheckSpec("Portal", N_("Deactivated numbers"))
_BEHIND_MS = 900_000
"""One failed call is tried again within a minute."""
_LATE_DAYS = 3
"""A list appears during the next day, so one that is missing for three days is late."""
_SCHEDULER_FIX = N_("Check that the scheduler is running.")


def check_consent_reports(
    is_on: bool, waiting_since_ms: int | None, errors: Mapping[str, int], refused: int, now_ms: int
) -> CheckResult:
    """`errors` of those that wait or were refused, in words, the commonest first."""
    error = next(iter(errors), "")
    if not is_on:
        return CONSENT_REPORTS.ok(_("Off: Twilio learns of opt-outs by text only. ReportConsentToTwilio turns it on."))
    if waiting_since_ms is not None and now_ms - waiting_since_ms > _BEHIND_MS:
        minutes = (now_ms - waiting_since_ms) // 60_000
        reason = ngettext("The oldest waits for %(num)s minute.", "The oldest waits for %(num)s minutes.", minutes)
        fix = _("The portal keeps trying, and its own list holds the texts back meanwhile.")
        return CONSENT_REPORTS.failing(f"{reason} {_(error)}".strip(), f"{fix} {_(_SCHEDULER_FIX)}")
    if refused:
        reason = ngettext("Twilio refused %(num)s.", "Twilio refused %(num)s.", refused)
        return CONSENT_REPORTS.warning(
            f"{reason} {_(error)}".strip(), _("Correct the cause, and try again under Queues.")
        )
    return CONSENT_REPORTS.ok(_("Twilio knows of every opt-out and START."))


def check_deactivations(last_read_day: str | None, error: str, is_set_up: bool, now_ms: int) -> CheckResult:
    """`error` is why the newest list that could not be read was not."""
    if not is_set_up:
        return DEACTIVATIONS.unknown(_("Twilio’s credentials are not set."))
    oldest = datetime.fromtimestamp(now_ms / 1000, UTC).date() - timedelta(days=_LATE_DAYS)
    if last_read_day is not None and last_read_day >= oldest.isoformat():
        return DEACTIVATIONS.ok(_("The list of %(day)s has been read.", day=last_read_day))
    if last_read_day is None and not error:
        return DEACTIVATIONS.unknown(_("No list has been read yet."), _(_SCHEDULER_FIX))
    reason = (
        _("No list has been read since that of %(day)s.", day=last_read_day)
        if last_read_day
        else _("No list could be read.")
    )
    fix = _("The portal keeps trying for 14 days. Check that the credentials may read Twilio’s Deactivations resource.")
    return DEACTIVATIONS.failing(f"{reason} {_(error)}".strip(), fix)

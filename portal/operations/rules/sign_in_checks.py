"""Whether administrators sign in with a second factor."""

from portal.core.translation import N_
from portal.core.translation import gettext as _
from portal.operations.rules.checks import CheckResult, CheckSpec

SECOND_FACTOR_CHECK = CheckSpec("Portal", N_("Second factor"))


def check_second_factor(is_required: bool, is_production: bool) -> CheckResult:
    if is_required:
        return SECOND_FACTOR_CHECK.ok(_("Administrators sign in with a second factor."))
    if not is_production:
        return SECOND_FACTOR_CHECK.ok(_("It is optional for administrators, as suits a trial."))
    return SECOND_FACTOR_CHECK.warning(
        _("It is optional for administrators: whoever learns a password signs in with it."),
        _("Unset PORTAL_SECOND_FACTOR, or set it to required, and restart."),
    )

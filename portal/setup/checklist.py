"""Which steps of the setup are done. Each is judged by what is so, whoever did it and wherever."""

from collections.abc import Callable

from portal.consent.tables.import_tasks import ImportTaskKind, ImportTaskState, recent_tasks
from portal.core.context import settings
from portal.core.errors import ActionRefused
from portal.core.organisation import current_organisation
from portal.core.rules.delivery_status import STATES, StateGroup
from portal.core.transaction import transaction
from portal.core.translation import gettext as _
from portal.core.translation import join_words, ngettext
from portal.messages.rules.message_modes import mask_email_address
from portal.operations import test_messages, twilio_snapshot
from portal.registration import pack
from portal.settings import app_settings
from portal.settings.installation import is_fixed
from portal.settings.rules.installation_settings import TIME_ZONE
from portal.setup import email_proof, twilio_connection
from portal.setup.rules.steps import STEPS, STEPS_BY_KEY, StepState
from portal.setup.tables import setup_state

_CLOSED = "closed"
_RECENT_TESTS = 20


def step_states(now_ms: int) -> list[StepState]:
    """All steps, in the advised order."""
    return [StepState(step, *_CHECKS[step.key](now_ms)) for step in STEPS]


def confirm_step(key: str, now_ms: int) -> None:
    """What only a person can know. Raises `ActionRefused` for a step that the portal judges by itself."""
    step = STEPS_BY_KEY.get(key)
    if step is None or not step.confirmation:
        raise ActionRefused(_("There is nothing to confirm about this step."))
    with transaction():
        setup_state.remember(_confirmation(key), now_ms)


def is_open() -> bool:
    """Whether the menu still asks to finish."""
    return not setup_state.is_remembered(_CLOSED)


def close(now_ms: int) -> None:
    with transaction():
        setup_state.remember(_CLOSED, now_ms)


def _confirmation(key: str) -> str:
    return f"confirmed {key}"


def _is_confirmed(key: str) -> bool:
    return setup_state.is_remembered(_confirmation(key))


def _check_organization(_now_ms: int) -> tuple[bool, str]:
    environment, address = settings().from_environment, twilio_snapshot.check_our_public_url()
    is_named = bool(current_organisation().saved_name) or "PORTAL_ORGANISATION" in environment
    has_zone = is_fixed(TIME_ZONE) or bool(app_settings.configuration(TIME_ZONE).values.get(TIME_ZONE))
    missing = [
        *([] if is_named else [_("the name")]),
        *([] if has_zone else [_("the time zone")]),
        *([] if address.verdict == "ok" else [_("a public address that others can reach")]),
    ]
    if missing:
        return False, _("Missing: %(parts)s.", parts=join_words(missing))
    return True, f"{current_organisation().name}, {settings().public_url}"


def _check_email(_now_ms: int) -> tuple[bool, str]:
    if email_proof.is_proved():
        return True, _("A test email has arrived. Emails come from %(sender)s.", sender=settings().mail_from)
    return False, _("No test email has been confirmed yet.")


def _check_twilio(_now_ms: int) -> tuple[bool, str]:
    return twilio_connection.connection_state()


def _check_test_text(_now_ms: int) -> tuple[bool, str]:
    texts = test_messages.recent_test_texts(_RECENT_TESTS)
    if any(STATES[delivery.state].group == StateGroup.DELIVERED for text in texts for delivery in text.deliveries):
        return True, _("A test text has been delivered.")
    return False, _("No test text has been delivered yet.")


def _check_wording(_now_ms: int) -> tuple[bool, str]:
    return _is_confirmed("wording"), ""


def _check_registration(now_ms: int) -> tuple[bool, str]:
    missing = len(pack.build_pack(now_ms).missing) + sum(map(len, pack.wording_gaps().values()))
    if missing:
        return False, ngettext("%(num)s point is missing.", "%(num)s points are missing.", missing)
    return True, _("No field is missing, and the public pages are complete.")


def _check_people(_now_ms: int) -> tuple[bool, str]:
    if setup_state.has_account("user"):
        return True, ""
    return False, _("There are only accounts of staff.")


def _check_opt_outs(_now_ms: int) -> tuple[bool, str]:
    imports = recent_tasks(ImportTaskKind.OPT_OUTS, 1)
    return _is_confirmed("opt_outs") or any(task.state == ImportTaskState.DONE for task in imports), ""


def _check_quiet_hours(_now_ms: int) -> tuple[bool, str]:
    hours = app_settings.current_text_limits().quiet_hours
    return bool(hours), _("In force: %(hours)s.", hours=str(hours)) if hours else _("Off.")


def _check_live(now_ms: int) -> tuple[bool, str]:
    config = app_settings.configuration()
    if not config.is_live("sms", now_ms):
        return False, _("Texts do not reach people yet.")
    route = config.email_route(now_ms)
    if route.override_on:
        address = mask_email_address(route.address or "")
        return True, _("Texts are live. Emails still go to %(address)s.", address=address)
    return True, _("Texts and emails are live.")


_CHECKS: dict[str, Callable[[int], tuple[bool, str]]] = {
    "organization": _check_organization,
    "email": _check_email,
    "twilio": _check_twilio,
    "test_text": _check_test_text,
    "wording": _check_wording,
    "registration": _check_registration,
    "people": _check_people,
    "opt_outs": _check_opt_outs,
    "quiet_hours": _check_quiet_hours,
    "live": _check_live,
}
"""By the step. Each returns whether it is done, and a sentence about it."""

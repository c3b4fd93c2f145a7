"""Save who runs the portal and where: name, public address, region, time zone and language."""

from dataclasses import dataclass

from portal.accounts.tables.accounts import Account
from portal.core.context import settings
from portal.core.errors import InvalidInput
from portal.core.extensions import db
from portal.core.organisation import current_organisation
from portal.core.rules.text_input import clean_code
from portal.core.transaction import transaction
from portal.core.translation import gettext as _
from portal.settings import organisation_changes
from portal.settings.app_settings import configuration
from portal.settings.installation import is_fixed
from portal.settings.rules.installation_settings import INSTALLATION_FIELDS, TIME_ZONE
from portal.settings.setting_changes import SettingUpdate, change_setting

_UNSET_ZONE = "UTC"


@dataclass(frozen=True)
class OrganisationInput:
    """None leaves a value as it is."""

    name: str | None = None
    text_name: str | None = None
    public_url: str | None = None
    region: str | None = None
    time_zone: str | None = None
    language: str | None = None


def save_organisation(entered: OrganisationInput, actor_id: int | None, now_ms: int, source: str = "page") -> None:
    """Save what differs from what is in force. Raises `InvalidInput`, keyed by the fields, with nothing saved."""
    texts = {name: getattr(entered, field) for name, field in INSTALLATION_FIELDS.items()}
    changes = {name: clean_code(text) for name, text in texts.items() if text is not None and not is_fixed(name)}
    if errors := _errors(entered, changes):
        raise InvalidInput(errors)
    _save_names(entered, actor_id, now_ms)
    current = {name: getattr(settings(), field) for name, field in INSTALLATION_FIELDS.items()}
    stored = configuration(TIME_ZONE).values
    for name, text in changes.items():
        if text != current[name] or (name == TIME_ZONE and name not in stored):
            change_setting(SettingUpdate(name, actor_id, now_ms, source), text)
    if actor_id is not None and entered.time_zone:
        _set_own_zone(actor_id, entered.time_zone)


def _save_names(entered: OrganisationInput, actor_id: int | None, now_ms: int) -> None:
    before = current_organisation()
    name = before.saved_name if entered.name is None else entered.name
    if name != before.saved_name or entered.text_name not in (None, before.saved_text_name):
        organisation_changes.save_profile(name, before.accent_color, None, actor_id, now_ms, entered.text_name)


def _errors(entered: OrganisationInput, changes: dict[str, str]) -> dict[str, str]:
    errors: dict[str, str] = {}
    config = configuration()
    if entered.name is not None and not entered.name.strip():
        errors["name"] = _("Enter the name by which people know you.")
    elif entered.name is not None and len(entered.name) > organisation_changes.MAX_NAME_LENGTH:
        errors["name"] = _(
            "Use %(limit)s characters or fewer. You have used %(used)s.",
            limit=organisation_changes.MAX_NAME_LENGTH,
            used=len(entered.name),
        )
    for name, text in changes.items():
        try:
            config.parse(name, text)
        except InvalidInput as error:
            errors[INSTALLATION_FIELDS[name]] = error.message
    if TIME_ZONE in changes and not changes[TIME_ZONE]:
        errors["time_zone"] = _("Choose the time zone of your office.")
    return errors


def _set_own_zone(account_id: int, zone: str) -> None:
    """The first administrator was created before there was a time zone."""
    with transaction():
        account = db.session.get_one(Account, account_id)
        if account.timezone == _UNSET_ZONE:
            account.timezone = zone

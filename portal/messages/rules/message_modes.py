"""What happens to emails and texts in each mode, in the same words wherever somebody is about to send."""

from dataclasses import dataclass

from portal.core.rules.routing import SIMULATED_MODES, Mode
from portal.core.translation import gettext as _
from portal.core.translation import ngettext


@dataclass(frozen=True)
class EmailRoute:
    """Where emails go at one moment. With `override_on` but without an address they wait."""

    override_on: bool = False
    address: str | None = None

    @property
    def has_no_destination(self) -> bool:
        return self.override_on and not self.address

    @property
    def mode(self) -> Mode:
        return Mode.OVERRIDE if self.override_on else Mode.LIVE

    def destination_for(self, address: str) -> str:
        return self.address if self.override_on and self.address else address


@dataclass(frozen=True)
class ChannelLabels:
    """Labels of a channel whose messages reach their recipients."""

    singular: str
    plural: str
    recipients: str
    recipients_emphasized: str

    @property
    def live_label(self) -> str:
        return f"{self.plural.capitalize()} reach {self.recipients}"

    def waiting_notice(self, waiting: int) -> str:
        """Say what happens to waiting messages; "" if there are none."""
        if waiting == 1:
            return f"1 {self.singular} is waiting and then leaves too."
        return f"{waiting:,} {self.plural} are waiting and then leave too." if waiting else ""


CHANNEL_LABELS = {
    "sms": ChannelLabels("text", "texts", "people’s phones", "people’s own phones"),
    "email": ChannelLabels("email", "emails", "the people themselves", "the people themselves"),
}


def is_redirected_or_simulated(texts: Mode, emails: EmailRoute) -> bool:
    """Whether any message goes to somebody other than its recipient, or nowhere."""
    return emails.override_on or texts not in (Mode.OFF, Mode.LIVE)


def describe_send_effect(emails: int, texts: int, mode: Mode, route: EmailRoute) -> str:
    """For example “12 emails and 5 texts” or “12 emails for real; 5 texts simulated”."""
    if not is_redirected_or_simulated(mode, route):
        email_count = ngettext("%(num)s email", "%(num)s emails", emails)
        text_count = ngettext("%(num)s text", "%(num)s texts", texts)
        return _("%(emails)s and %(texts)s", emails=email_count, texts=text_count) if texts else email_count
    email_effect = _describe_emails(emails, route)
    if not texts:
        return email_effect
    return _("%(emails)s; %(texts)s", emails=email_effect, texts=_describe_texts(texts, mode))


def _describe_emails(count: int, route: EmailRoute) -> str:
    if route.has_no_destination:
        return ngettext(
            "%(num)s email held until there is an override address",
            "%(num)s emails held until there is an override address",
            count,
        )
    if route.override_on:
        return ngettext("%(num)s email to the override address", "%(num)s emails to the override address", count)
    return ngettext("%(num)s email for real", "%(num)s emails for real", count)


def _describe_texts(count: int, mode: Mode) -> str:
    if mode in SIMULATED_MODES:
        return ngettext("%(num)s text simulated", "%(num)s texts simulated", count)
    if mode == Mode.OVERRIDE:
        return ngettext("%(num)s text to the override number", "%(num)s texts to the override number", count)
    if mode == Mode.OFF:
        return ngettext("%(num)s text not sent", "%(num)s texts not sent", count)
    return ngettext("%(num)s text for real", "%(num)s texts for real", count)


def describe_email_route(route: EmailRoute) -> str:
    if route.has_no_destination:
        return _("Emails are held until there is an override address.")
    return _("Emails go to the override address.") if route.override_on else _("Emails leave for real.")


def describe_text_route(mode: Mode) -> str:
    if mode in SIMULATED_MODES:
        return _("Texts are simulated.")
    effects = {Mode.OVERRIDE: _("Texts go to the override number."), Mode.OFF: _("Texts are switched off.")}
    return effects.get(mode, _("Texts leave for real."))


def describe_mode_effect(mode: Mode, route: EmailRoute) -> str:
    """For example “Emails leave for real. Texts are simulated.”"""
    return f"{describe_email_route(route)} {describe_text_route(mode)}"


def mask_email_address(address: str) -> str:
    """o•••@example.org: just enough to recognise one’s own address."""
    local, _at, domain = address.rpartition("@")
    return f"{local[:1]}•••@{domain}"

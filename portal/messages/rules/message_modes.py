"""What happens to emails and texts in each mode, in the same words wherever somebody is about to send."""

from dataclasses import dataclass

from portal.core.rules.routing import SIMULATED_MODES, Mode
from portal.core.translation import N_, ngettext
from portal.core.translation import gettext as _


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
    """What is said where messages of a channel start to reach their recipients; to be translated."""

    live_now: str
    live_once: str
    after_change: str
    after_change_at: str
    live_on_expiry: str
    when_it_ends: str
    reached_then: str
    confirmation: str


CHANNEL_LABELS = {
    "sms": ChannelLabels(
        live_now=N_("Texts reach people’s phones from now on."),
        live_once=N_("Once texts reach people’s phones:"),
        after_change=N_("With this change, texts will reach people’s phones immediately."),
        after_change_at=N_("With this change, texts will reach people’s phones %(when)s."),
        live_on_expiry=N_("Texts then go LIVE and reach people’s own phones."),
        when_it_ends=N_("When it ends, texts go LIVE."),
        reached_then=N_("With the current settings, they then reach people’s own phones without further confirmation."),
        confirmation=N_("Type LIVE if texts may reach people’s phones"),
    ),
    "email": ChannelLabels(
        live_now=N_("From now on, emails go to their recipients."),
        live_once=N_("Once emails go to their recipients:"),
        after_change=N_("With this change, emails will go to their recipients immediately."),
        after_change_at=N_("With this change, emails will go to their recipients %(when)s."),
        live_on_expiry=N_("Emails then go LIVE, to their recipients."),
        when_it_ends=N_("When it ends, emails go LIVE."),
        reached_then=N_("With the current settings, they then go to their recipients without further confirmation."),
        confirmation=N_("Type LIVE if emails may go to their recipients"),
    ),
}


def waiting_notice(channel: str, waiting: int) -> str:
    """Say what happens to waiting messages; "" if there are none."""
    if not waiting:
        return ""
    if channel == "email":
        return ngettext(
            "%(num)s email is waiting and will be sent too.",
            "%(num)s emails are waiting and will be sent too.",
            waiting,
        )
    return ngettext(
        "%(num)s text is waiting and will be sent too.", "%(num)s texts are waiting and will be sent too.", waiting
    )


def is_redirected_or_simulated(texts: Mode, emails: EmailRoute) -> bool:
    """Whether any message goes to somebody other than its recipient, or nowhere."""
    return emails.override_on or texts not in (Mode.OFF, Mode.LIVE)


def describe_send_effect(emails: int, texts: int, mode: Mode, route: EmailRoute) -> str:
    """For example “12 emails and 5 texts” or “12 real emails; 5 simulated texts”."""
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
    return ngettext("%(num)s real email", "%(num)s real emails", count)


def _describe_texts(count: int, mode: Mode) -> str:
    if mode in SIMULATED_MODES:
        return ngettext("%(num)s simulated text", "%(num)s simulated texts", count)
    if mode == Mode.OVERRIDE:
        return ngettext("%(num)s text to the override number", "%(num)s texts to the override number", count)
    if mode == Mode.OFF:
        return ngettext("%(num)s text not sent", "%(num)s texts not sent", count)
    return ngettext("%(num)s real text", "%(num)s real texts", count)


def describe_email_route(route: EmailRoute) -> str:
    if route.has_no_destination:
        return _("Emails are held until there is an override address.")
    return _("Emails go to the override address.") if route.override_on else _("Emails go to their recipients.")


def describe_text_route(mode: Mode) -> str:
    if mode in SIMULATED_MODES:
        return _("Texts are simulated.")
    effects = {Mode.OVERRIDE: _("Texts go to the override number."), Mode.OFF: _("Texts are switched off.")}
    return effects.get(mode, _("Texts go to people’s phones."))


def describe_mode_effect(mode: Mode, route: EmailRoute) -> str:
    """For example “Emails go to their recipients. Texts are simulated.”"""
    return f"{describe_email_route(route)} {describe_text_route(mode)}"


def mask_email_address(address: str) -> str:
    """o•••@example.org: just enough to recognise one’s own address."""
    local, _at, domain = address.rpartition("@")
    return f"{local[:1]}•••@{domain}"

"""What happens to emails and texts in each mode, in the same words wherever somebody is about to send."""

from dataclasses import dataclass

from portal.core.rules.routing import SIMULATED_MODES, Mode


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
    email_count, text_count = _counted(emails, "email"), _counted(texts, "text")
    if not is_redirected_or_simulated(mode, route):
        return f"{email_count} and {text_count}" if texts else email_count
    parts = [f"{email_count} {email_effect(route)}"]
    return "; ".join([*parts, f"{text_count} {text_effect(mode)}"] if texts else parts)


def email_effect(route: EmailRoute) -> str:
    if route.has_no_destination:
        return "held until there is an override address"
    return "to the override address" if route.override_on else "for real"


def text_effect(mode: Mode) -> str:
    if mode in SIMULATED_MODES:
        return "simulated"
    return {Mode.OVERRIDE: "to the override number", Mode.OFF: "not sent"}.get(mode, "for real")


def describe_mode_effect(mode: Mode, route: EmailRoute) -> str:
    """For example “Emails leave for real; texts are simulated.”"""
    emails = {"for real": "leave for real", "to the override address": "go to the override address"}
    texts = {"for real": "leave for real", "simulated": "are simulated", "not sent": "are switched off"}
    for_emails, for_texts = email_effect(route), text_effect(mode)
    return f"Emails {emails.get(for_emails, f'are {for_emails}')}; texts {texts.get(for_texts, f'go {for_texts}')}."


def mask_email_address(address: str) -> str:
    """o•••@example.org: just enough to recognise one’s own address."""
    local, _at, domain = address.rpartition("@")
    return f"{local[:1]}•••@{domain}"


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"

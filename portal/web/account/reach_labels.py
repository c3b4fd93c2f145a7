"""How a message reached its recipient; if not by text, why, and what they can do. For the recipients themselves."""

from dataclasses import dataclass

from portal.core.rules.delivery_status import STATES, WAITING, DeliveryState, StateGroup, displayed_state
from portal.core.rules.routing import Mode, Reason
from portal.core.translation import N_
from portal.core.translation import gettext as _
from portal.messages.tables.communications import Communication, Delivery
from portal.web.delivery_labels import reason_for_owner
from portal.web.layout import is_sms_visible

_NUMBERS = N_("Check your phone numbers")
_WHY: dict[str, tuple[str, str]] = {
    Reason.FEATURE_OFF: (N_("Texts were switched off."), ""),
    Reason.TEMPLATE_EMAIL_ONLY: (N_("This notification goes by email only."), ""),
    Reason.NO_NUMBER: (N_("Your account had no phone number for texts."), N_("Add a phone number")),
    Reason.NOT_OPTED_IN: (N_("No phone number of yours was enabled for texts."), N_("Turn on texts")),
    Reason.STOPPED: (N_("Texts to your phone were stopped. To get them again, text START from that phone."), ""),
    Reason.OTHER_ACCOUNT_RECEIVES: (N_("Texts to your phone number go to another account."), _NUMBERS),
    Reason.UNREACHABLE: (N_("Your phone number could not receive texts."), _NUMBERS),
    Reason.NUMBER_DEACTIVATED: (
        N_("Your phone number was no longer in service, as its carrier reported."),
        _NUMBERS,
    ),
    Reason.TOPIC_OFF: (N_("You had switched off texts about this topic."), N_("Choose what we text you about")),
    Reason.NOT_CONFIGURED: (N_("Texts could not be sent at that time."), ""),
    Reason.ACCOUNT_DEACTIVATED: (N_("Your account was deactivated at that time."), ""),
    Reason.FREQUENCY_CAP: (N_("Your phone had as many texts within 24 hours as it gets at most."), ""),
    Reason.EXPIRED: (N_("The text could not be sent in time."), ""),
    Reason.DUPLICATE_WELCOME: (N_("The same text was sent a short while before."), ""),
}
"""By reason: why there was no text, and the label of the link to the person’s phone numbers if that helps."""
_DID_NOT_ARRIVE = (N_("The text did not arrive at your phone."), _NUMBERS)
_BY_STATE: dict[str, tuple[str, str]] = {
    DeliveryState.DEFERRED: (N_("The text waits for the end of quiet hours."), ""),
    DeliveryState.OPTED_OUT: _WHY[Reason.STOPPED],
    DeliveryState.CANCELED: (N_("The text was canceled before it was sent."), ""),
    DeliveryState.UNKNOWN: (N_("It is not known yet whether the text was sent."), ""),
    DeliveryState.NO_RECEIPT: (N_("The text was sent, and nobody has reported whether it arrived."), ""),
    DeliveryState.UNDELIVERED: _DID_NOT_ARRIVE,
    DeliveryState.FAILED: _DID_NOT_ARRIVE,
    DeliveryState.REJECTED: _DID_NOT_ARRIVE,
}
_OTHERWISE = (N_("No text was sent."), "")


@dataclass(frozen=True)
class Reach:
    """`label` says how it came. `reason` says why there was no text, and `action` labels the page that helps."""

    label: str
    reason: str = ""
    action: str = ""


def describe_reach(communication: Communication, has_consented: bool) -> Reach:
    """`has_consented` as in `delivery_labels.reason_for_owner`. While texts are hidden, nothing is said of them."""
    by_channel = {delivery.channel: delivery for delivery in communication.deliveries}
    email, text = by_channel.get("email"), by_channel.get("sms") if is_sms_visible() else None
    label = _label(_was_sent(email), _was_sent(text), _waits(email) or _waits(text))
    if text is None or (_was_sent(text) and _state(text) != DeliveryState.NO_RECEIPT):
        return Reach(label)
    reason, action = _why_no_text(text, has_consented)
    return Reach(label, _(reason) if reason else "", _(action) if action else "")


def _label(by_email: bool, by_text: bool, waits: bool) -> str:
    if by_email and by_text:
        return _("By email and by text")
    if by_email:
        return _("By email")
    if by_text:
        return _("By text")
    return _("Being sent") if waits else _("Only here in the portal")


def _why_no_text(text: Delivery, has_consented: bool) -> tuple[str, str]:
    if text.state in (DeliveryState.READY, DeliveryState.SENDING, DeliveryState.PAUSED):
        return "", ""
    reason = reason_for_owner(text, has_consented)
    return _WHY.get(reason) or _BY_STATE.get(_state(text), _OTHERWISE)


def _was_sent(delivery: Delivery | None) -> bool:
    """To its recipient, not to the address of an override."""
    if delivery is None or STATES[_state(delivery)].group not in _SENT_GROUPS:
        return False
    return not delivery.attempt_history or delivery.attempt_history[-1].mode != Mode.OVERRIDE


def _waits(delivery: Delivery | None) -> bool:
    return delivery is not None and delivery.state in (*WAITING, DeliveryState.SENDING)


def _state(delivery: Delivery) -> str:
    return displayed_state(delivery.state, delivery.due_at_ms)


_SENT_GROUPS = (StateGroup.ACCEPTED, StateGroup.DELIVERED, StateGroup.NO_RECEIPT)

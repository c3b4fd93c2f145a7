"""The forms that decide about a text with an unknown outcome."""

from wtforms import HiddenField, StringField

from portal.delivery.unresolved_deliveries import CONFIRMATION_WORDS
from portal.web.base_form import PortalForm


class DecisionForm(PortalForm):
    """The page has a form for each decision; each sends one field and the `attempt` that the page showed."""

    attempt = HiddenField()
    sent, not_sent, resend = (StringField(f"Type {word}") for word in CONFIRMATION_WORDS.values())

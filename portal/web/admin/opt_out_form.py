"""The form of an opt-out that an administrator records."""

from wtforms import HiddenField, RadioField, TextAreaField

from portal.consent.manual_consent import MAX_REASON_LENGTH
from portal.consent.rules.consent_labels import OPT_OUT_CHANNELS
from portal.core.rules import text_input
from portal.web.base_form import PhoneForm


class OptOutForm(PhoneForm):
    """`confirmed` is the number that the confirmation page showed."""

    channel = RadioField("How did the person ask?", choices=OPT_OUT_CHANNELS, validate_choice=False)
    reason = TextAreaField("What was said or written, by whom and when", render_kw={"maxlength": MAX_REASON_LENGTH})
    confirmed = HiddenField(filters=[text_input.clean_code])

"""The buttons that decide about a reply."""

from wtforms import HiddenField

from portal.web.base_form import PortalForm
from portal.web.request_input import parse_id


class ReplyDecisionForm(PortalForm):
    """`account_id` gets the texts if they are moved."""

    decision = HiddenField()
    account_id = HiddenField(filters=[parse_id])

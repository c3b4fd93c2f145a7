"""The form of the time zone page."""

from typing import Any

from wtforms import StringField
from wtforms.validators import ValidationError

from portal.core.rules import text_input
from portal.core.rules.time_zones import timezone_problem
from portal.web.base_form import PortalForm


class TimeZoneForm(PortalForm):
    timezone = StringField("Time zone", filters=[text_input.clean_code])

    def validate_timezone(self, field: Any) -> None:
        if problem := timezone_problem(field.data):
            raise ValidationError(problem)

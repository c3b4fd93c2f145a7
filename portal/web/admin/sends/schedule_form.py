"""The form of a schedule: that of a send, and when to send."""

from collections.abc import Mapping
from typing import Any

from flask_security import current_user
from wtforms import Field, HiddenField, RadioField, SelectField, StringField
from wtforms.widgets import DateInput, NumberInput, TimeInput

from portal.content.tables.templates import TemplateVersion, find_template, find_template_version
from portal.core.translation import lazy_gettext
from portal.schedules.rules.recurrence import WEEKDAYS
from portal.schedules.rules.timing import ScheduleKind
from portal.schedules.schedule_validation import ScheduleDraft
from portal.schedules.tables.person_dates import date_attributes
from portal.schedules.tables.schedules import Schedule
from portal.web.admin.sends.audience_form import initial_audience
from portal.web.admin.sends.send_form import SendForm, SendSubjectForm, form_with_values
from portal.web.base_form import words
from portal.web.request_input import parse_id, parse_version

DEFAULT_LATE_HOURS = 24
_FIELDS_OF_KIND = {
    ScheduleKind.ONCE: ("starts_on", "time", "zone"),
    ScheduleKind.RECURRING: (
        *("starts_on", "time", "zone"),
        *("repeat", "weekdays", "rrule", "ends", "ends_on", "ends_after"),
    ),
    ScheduleKind.RELATIVE: ("attribute", "offsets", "time"),
}
KINDS: dict[str, Any] = {
    ScheduleKind.ONCE: lazy_gettext("Once"),
    ScheduleKind.RECURRING: lazy_gettext("Repeatedly"),
    ScheduleKind.RELATIVE: lazy_gettext("On a date of each person"),
}
REPETITIONS = {
    "daily": lazy_gettext("Every day"),
    "weekly": lazy_gettext("Every week, on the days below"),
    "monthly_day": lazy_gettext("Every month, on the same day"),
    "monthly_weekday": lazy_gettext("Every month, on the same weekday"),
    "monthly_last": lazy_gettext("Every month, on the last day"),
    "yearly": lazy_gettext("Every year, on the same day"),
    "custom": lazy_gettext("By a rule (RRULE)"),
}
_ENDS = {
    "never": lazy_gettext("Never"),
    "on": lazy_gettext("On a day"),
    "after": lazy_gettext("After a number of runs"),
}
_LATE = {"send": lazy_gettext("Send it late"), "skip": lazy_gettext("Skip it, and list it as missed")}


class WeekdaysField(Field):  # type: ignore[misc]
    """Check boxes; the data are the days as RFC 5545 writes them."""

    def process_formdata(self, valuelist: list[str]) -> None:
        self.data = [day for day in WEEKDAYS if day in valuelist]


def _attribute_choices() -> dict[str, str]:
    return {attribute.key: attribute.label for attribute in date_attributes()}


class ScheduleForm(SendForm):
    """The names of the fields of the timing are those of `schedules.rules.timing_input`."""

    base_version = HiddenField(filters=[parse_version])
    name = StringField(lazy_gettext("Name"), description=lazy_gettext("Recipients do not see this name."))
    kind = RadioField(lazy_gettext("When?"), choices=words(KINDS), default="once", validate_choice=False)
    starts_on = StringField(lazy_gettext("Date"), widget=DateInput())
    time = StringField(lazy_gettext("Time of day"), widget=TimeInput(), default="09:00")
    zone = StringField(lazy_gettext("Time zone"), default=lambda: current_user.timezone)
    repeat = SelectField(lazy_gettext("Repeat"), choices=words(REPETITIONS), default="weekly", validate_choice=False)
    weekdays = WeekdaysField(lazy_gettext("Days of the week"), default=list)
    rrule = StringField(
        lazy_gettext("Rule"),
        description=lazy_gettext("As in calendar files, such as FREQ=MONTHLY;BYDAY=2TU. It can have its own end."),
    )
    ends = RadioField(lazy_gettext("End"), choices=words(_ENDS), default="never", validate_choice=False)
    ends_on = StringField(lazy_gettext("Last day"), widget=DateInput())
    ends_after = StringField(lazy_gettext("Number of runs"), widget=NumberInput())
    attribute = SelectField(lazy_gettext("Date of each person"), choices=_attribute_choices, validate_choice=False)
    offsets = StringField(
        lazy_gettext("Days before the date"),
        default="60, 30, 7",
        description=lazy_gettext("Such as 60, 30, 7. Write 0 for the day itself and -3 for three days after it."),
    )
    late = RadioField(
        lazy_gettext("If the portal could not send a run at its time"),
        choices=words(_LATE),
        default="send",
        validate_choice=False,
    )
    late_hours = StringField(
        lazy_gettext("At most so many hours late"), widget=NumberInput(), default=str(DEFAULT_LATE_HOURS)
    )

    @property
    def timing(self) -> dict[str, Any]:
        return {name: self[name].data for name in _FIELDS_OF_KIND.get(self.kind.data, ())}

    @property
    def entered(self) -> list[Any]:
        return [*super().entered, self.name.data, self.kind.data, self.timing, self.late.data, self.late_hours.data]

    @property
    def draft(self) -> ScheduleDraft:
        late_hours = 0 if self.late.data == "skip" else parse_id(self.late_hours.data)
        audience, kind = self.chosen_audience, self.kind.data
        return ScheduleDraft(self.name.data, self.key, audience, self.values, kind, self.timing, late_hours)


def schedule_form(template_key: str, **initial: str) -> ScheduleForm | None:
    """The submitted form, or one with the `initial` values. None if there is no template with this key."""
    template = find_template(template_key)
    if template is None:
        return None
    form = form_with_values(ScheduleForm, find_template_version(template), initial)
    if not form.name.raw_data:
        form.name.data = template.name
    return form


def submitted_schedule_form() -> ScheduleForm | None:
    """Filled in on the page of a schedule, or on that of a send."""
    return schedule_form(SendSubjectForm().template.data)


def form_of_schedule(schedule: Schedule) -> ScheduleForm:
    version = find_template_version(schedule.template)
    return form_with_values(ScheduleForm, version, _initial(schedule, version))


def _initial(schedule: Schedule, version: TemplateVersion) -> Mapping[str, Any]:
    values = {f"data.{name}": value for name, value in schedule.data.items()}
    late = {"late": "send", "late_hours": str(schedule.late_hours)} if schedule.late_hours else {"late": "skip"}
    initial = {**schedule.timing, **values, **late, **initial_audience(schedule.audience)}
    initial |= {"name": schedule.name, "kind": schedule.kind, "base_version": str(schedule.version)}
    return initial | {"template": version.template.key}

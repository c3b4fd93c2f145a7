"""The values given with a send: whether the template has what it needs, and can be filled in for those who get it."""

from collections.abc import Mapping
from typing import Any

from portal.accounts.tables.accounts import Recipient
from portal.content.message_templates import SAMPLE_VALUES, data_fields, required_fields
from portal.content.rules import merge_fields
from portal.content.rules.merge_fields import MergeError
from portal.content.tables.templates import TemplateVersion
from portal.core.rules import text_input
from portal.sends.tables import audience_estimate

TRIAL_RECIPIENTS = 1_000
"""A template with filters or conditions is tried on so many people before it is sent; of fewer, on everybody."""


def complete_values(version: TemplateVersion, data: Mapping[str, str]) -> dict[str, str]:
    """The values without what nobody sees, or blanks around them; what may be left blank and is not given is blank."""
    given = {text_input.clean_code(name): text_input.clean_lines(str(value)).strip() for name, value in data.items()}
    return dict.fromkeys(data_fields(version), "") | given


def value_problems(version: TemplateVersion, data: Mapping[str, str]) -> dict[str, str]:
    """What is wrong whoever gets it, by field: `template`, `data.<name>`. `data` is that of `completed`."""
    try:
        needed = required_fields(version)
    except MergeError as error:
        return {"template": f"The template has a mistake: mend it first. {error}"}
    missing = [merge_fields.missing_value_error(name) for name in needed if not data.get(name)]
    if missing:
        return {error.field_name: error.text for error in missing}
    if unknown := _unknown_name_problems(version, data):
        return unknown
    mistake = _render_error(version, {**SAMPLE_VALUES, "data": data})
    return {} if mistake is None else _field_errors(mistake)


def first_recipient_problem(
    version: TemplateVersion, audience: Mapping[str, Any], data: Mapping[str, str]
) -> dict[str, str]:
    """The first person of the audience with a value that the template cannot be filled in with, named.

    What else goes wrong for one person holds up nobody else: the fan-out says it where the message would stand.
    """
    if merge_fields.has_only_plain_fields(version.subject) and merge_fields.has_only_plain_fields(version.body):
        return {}
    for person in audience_estimate.sample_recipients(audience, TRIAL_RECIPIENTS):
        mistake = _render_error(version, _recipient_values(person, data))
        if mistake is not None and mistake.field_name:
            return _field_errors(mistake, f"For {person.name}, {person.external_id}: ")
    return {}


def _unknown_name_problems(version: TemplateVersion, data: Mapping[str, str]) -> dict[str, str]:
    """A name the template does not have, where a field is left blank that may have been meant."""
    known = data_fields(version)
    strange = [name for name in data if name not in known]
    if not strange or all(data[name] for name in known):
        return {}
    return {
        f"data.{name}": f"The template has no field “{name}”. Its fields are {', '.join(known)}." for name in strange
    }


def _recipient_values(person: Recipient, data: Mapping[str, str]) -> dict[str, Any]:
    return merge_fields.merge_values(person.name, person.email, person.external_id, person.account_type, data)


def _render_error(version: TemplateVersion, values: Mapping[str, Any]) -> MergeError | None:
    try:
        merge_fields.render_subject(version.subject, values, reject_blanks=True)
        merge_fields.render_body(version.body, values, reject_blanks=True)
    except MergeError as error:
        return error
    return None


def _field_errors(error: MergeError, whose: str = "") -> dict[str, str]:
    """At the field of the value, if it is one of the send's."""
    if error.field_name.startswith("data."):
        return {error.field_name: f"{whose}{error.text}"}
    return {"template": f"The template cannot be filled in with these values. {whose}{error}"}

"""Validate the values of a send against its template and recipients."""

from collections.abc import Mapping, Sequence
from typing import Any

from portal.accounts.tables.accounts import Recipient
from portal.accounts.tables.attributes import with_attributes
from portal.content.message_templates import attribute_fields, data_fields, required_fields, sample_values
from portal.content.rules import merge_fields
from portal.content.rules.merge_fields import MergeError
from portal.content.tables.templates import TemplateVersion
from portal.content.template_words import TemplateWords, fill_in, words_for
from portal.core.rules import text_input
from portal.core.translation import N_
from portal.core.translation import gettext as _
from portal.sends.tables import audience_estimate, recipient_files

_Data = Mapping[str, str]
TRIAL_RECIPIENTS = 100
"""A template with the recipient's fields in filters or tags is rendered for at most this many before it is sent."""


def complete_values(version: TemplateVersion, data: _Data) -> dict[str, str]:
    """The values without invisible characters and surrounding spaces; omitted fields are blank."""
    cleaned = {text_input.clean_code(name): text_input.clean_lines(str(value)).strip() for name, value in data.items()}
    return dict.fromkeys(data_fields(version), "") | cleaned


def value_problems(version: TemplateVersion, data: _Data, file_fields: Sequence[str] = ()) -> dict[str, str]:
    """Problems that do not depend on the recipient, by field. `data` comes from `complete_values`.

    `file_fields` have values of their own for each recipient.
    """
    try:
        required_names = required_fields(version)
    except MergeError as error:
        return {"template": _("The template has an error. Correct it first. %(problem)s", problem=str(error))}
    missing = [
        merge_fields.missing_value_error(name)
        for name in required_names
        if not data.get(name) and name not in file_fields
    ]
    if missing:
        return {problem.field_name: problem.text for problem in missing}
    if unknown := _unknown_name_problems(version, data):
        return unknown
    samples = merge_fields.sample_data(tuple(file_fields))
    values = {**sample_values(), "data": {**data, **samples}}
    problems = (render_error(words, values) for words in version.all_words)
    problem = next(filter(None, problems), None)
    return {} if problem is None else _field_errors(problem)


def first_recipient_problem(version: TemplateVersion, audience: Mapping[str, Any], data: _Data) -> dict[str, str]:
    """What is wrong with the values of the send, or with the template.

    Other errors, such as a missing attribute, do not stop it: the fan-out reports them in that recipient's message.
    """
    sources = [source for words in version.all_words for source in (words.subject, words.body)]
    names = sorted(set().union(*(merge_fields.person_fields(source, outside_plain_fields=True) for source in sources)))
    if not names and "recipient_file" not in audience:
        return {}  # what can fail is the same for everybody, and `value_problems` has tried it
    attributes, sample = attribute_fields(version), audience_estimate.sample_recipients(audience, TRIAL_RECIPIENTS)
    data_by_account = recipient_files.values_by_account(audience, data, [recipient.id for recipient in sample])
    tried = set()
    for recipient in with_attributes(sample, attributes):
        values = recipient_values(recipient, data_by_account[recipient.id])
        words = words_for(version.all_words, recipient.language)
        key = (words.language, *(values.get(name) for name in names), *values["data"].items())
        if key in tried:
            continue
        tried.add(key)
        error = render_error(words, values)
        if error is not None and error.field_name and error.field_name not in attributes:
            return _field_errors(error, recipient)
    return {}


def _unknown_name_problems(version: TemplateVersion, data: _Data) -> dict[str, str]:
    """Unknown names, if a field is blank that may have been meant."""
    fields = data_fields(version)
    unknown = [name for name in data if name not in fields]
    if not unknown or all(data[name] for name in fields):
        return {}
    names = ", ".join(fields)
    message = N_("The template has no field “%(name)s”. Its fields are %(names)s.")
    return {f"data.{name}": _(message, name=name, names=names) for name in unknown}


def recipient_values(person: Recipient, data: _Data) -> dict[str, Any]:
    """With the attributes that have been read."""
    return merge_fields.merge_values(
        person.name, person.email, person.external_id, person.account_type, data, person.attributes
    )


def render_error(words: TemplateWords, values: Mapping[str, Any]) -> MergeError | None:
    """Why a message with these values cannot be made."""
    try:
        fill_in(words, values)
    except MergeError as error:
        return error
    return None


def _field_errors(error: MergeError, recipient: Recipient | None = None) -> dict[str, str]:
    """By the `data.…` field of the value, otherwise by `template`."""
    if error.field_name.startswith("data."):
        return {error.field_name: _for_recipient(error.text, recipient)}
    problem = _for_recipient(str(error), recipient)
    return {"template": _("The template cannot be filled in with these values. %(problem)s", problem=problem)}


def _for_recipient(problem: str, recipient: Recipient | None) -> str:
    if recipient is None:
        return problem
    values = {"name": recipient.name, "account": recipient.external_id, "problem": problem}
    return _("For %(name)s, %(account)s: %(problem)s", **values)

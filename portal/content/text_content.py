"""What every text has in common, whoever wrote it: the name of the organization, and links to the own host alone."""

from portal.content.rules import text_rules
from portal.core.context import settings
from portal.core.organisation import current_organisation
from portal.messages.rules.named_texts import OrganisationNames, with_organisation_name


def organisation_names() -> OrganisationNames:
    organisation = current_organisation()
    return organisation.text_name, organisation.name


def named_text(text: str) -> str:
    """Words that are sent as they are typed, with the name if they lack it."""
    return with_organisation_name(text, organisation_names())


def link_problem(text: str) -> str | None:
    """Why a text with these links may not be sent."""
    return text_rules.link_problem(text, settings().public_url, organisation_names())

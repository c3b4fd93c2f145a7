"""The links of every text, whoever wrote it (docs/consent-rules.md#links-in-texts)."""

from portal.content.rules import text_rules
from portal.core.context import settings


def link_problem(text: str) -> str | None:
    """Why a text with these links may not be sent."""
    return text_rules.link_problem(text, settings().public_url)

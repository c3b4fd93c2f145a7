"""Tags of a template: words, separated by commas, by which people find it."""

from portal.core.rules import text_input
from portal.core.rules.case_folding import fold_case
from portal.core.translation import gettext as _

MAX_TAGS = 10
MAX_TAG_LENGTH = 40


def parse_tags(text: str) -> list[str]:
    """Each tag once, whatever its case, as it is typed first."""
    tags: dict[str, str] = {}
    for tag in map(text_input.clean_line, text.split(",")):
        tags.setdefault(fold_case(tag), tag)
    return [tag for tag in tags.values() if tag]


def tags_problem(text: str) -> str | None:
    tags = parse_tags(text)
    if len(tags) > MAX_TAGS:
        return _("Use %(limit)s tags or fewer. You have used %(count)s.", limit=MAX_TAGS, count=len(tags))
    if too_long := next((tag for tag in tags if len(tag) > MAX_TAG_LENGTH), None):
        return _(
            "Shorten the tag “%(tag)s…” to %(limit)s characters or fewer.", tag=too_long[:20], limit=MAX_TAG_LENGTH
        )
    return None

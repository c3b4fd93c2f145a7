"""Filters of the list of templates: words, a tag, and the archive."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask import url_for

from portal.content.tables.templates import TemplateVersion
from portal.core.rules.case_folding import fold_case, fold_for_search
from portal.core.translation import gettext as _
from portal.web.request_input import query_text


@dataclass(frozen=True)
class FilterPill:
    label: str
    count: int
    url: str
    is_current: bool


@dataclass(frozen=True)
class TemplateFilter:
    search_text: str
    tag: str
    is_archive: bool

    def matches(self, versions: Sequence[TemplateVersion]) -> list[TemplateVersion]:
        words, tag = fold_for_search(self.search_text).split(), fold_case(self.tag)
        return [
            version
            for version in self._in_list(versions)
            if all(word in _searched_text(version) for word in words) and (not tag or tag in _folded_tags(version))
        ]

    def pills(self, versions: Sequence[TemplateVersion]) -> list[FilterPill]:
        """All templates, each tag with its count, and the archive. They keep the search."""
        listed = [version for version in versions if version.template.archived_at_ms is None]
        archived = len(versions) - len(listed)
        tags = [tag for version in self._in_list(versions) for tag in version.template.tags]
        counts, spellings = Counter(map(fold_case, tags)), {fold_case(tag): tag for tag in reversed(tags)}
        return [
            self._pill(_("All"), len(listed)),
            *(self._pill(spellings[folded], counts[folded], spellings[folded]) for folded in sorted(counts)),
            *([self._pill(_("Archived"), archived, is_archive=True)] if archived else ()),
        ]

    def _in_list(self, versions: Sequence[TemplateVersion]) -> list[TemplateVersion]:
        return [version for version in versions if (version.template.archived_at_ms is not None) == self.is_archive]

    def _pill(self, label: str, count: int, tag: str = "", is_archive: bool = False) -> FilterPill:
        is_archive = is_archive or (self.is_archive and bool(tag))
        named = {"q": self.search_text, "tag": tag, "archived": "yes" if is_archive else ""}
        values: dict[str, Any] = {name: value for name, value in named.items() if value}
        is_current = (fold_case(tag), is_archive) == (fold_case(self.tag), self.is_archive)
        return FilterPill(label, count, url_for("admin_templates.listing", **values), is_current)


def requested_filter() -> TemplateFilter:
    return TemplateFilter(query_text("q"), query_text("tag"), query_text("archived") == "yes")


def _searched_text(version: TemplateVersion) -> str:
    template = version.template
    subjects = [words.subject for words in version.all_words]
    return fold_for_search("\n".join((template.name, template.key, *subjects, *template.tags)))


def _folded_tags(version: TemplateVersion) -> set[str]:
    return {fold_case(tag) for tag in version.template.tags}

"""Render a template version for one account."""

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from portal.accounts.tables.accounts import Account, Recipient
from portal.accounts.tables.attributes import values_of
from portal.content.links import TOKEN_LENGTH, communication_url
from portal.content.message_templates import TemplateDraft
from portal.content.rules import merge_fields
from portal.content.rules.text_rules import notification_text
from portal.content.tables.templates import TemplateVersion
from portal.content.template_words import TemplateWords, fill_in, words_for
from portal.content.text_content import organisation_names
from portal.messages.rules.named_texts import OrganisationNames
from portal.messages.rules.sms_segments import FittedText


class RenderedMessage(NamedTuple):
    """`body` is Markdown; `text` is name, subject and link in one segment (docs/consent-rules.md#email-always-goes).

    `language` is that of the variant that it was made from; None for the template's own words.
    """

    subject: str
    body: str
    text: str
    segments: int
    language: str | None = None


class MessageRenderer:
    """Renders a version for many recipients: what is the same for all who get the same words only once."""

    def __init__(self, version: TemplateVersion | TemplateDraft) -> None:
        self._all_words, self._link_start = version.all_words, communication_url("")
        self._names = organisation_names()
        self._data: Mapping[str, str] | None = None
        self._shared: dict[str, RenderedMessage | None] = {}
        """By the language that people have chosen."""

    def render(self, account: Account | Recipient, data: Mapping[str, str], token: str) -> RenderedMessage:
        language = account.language
        if data is not self._data:
            self._data, self._shared = data, {}
        if language not in self._shared:
            self._shared[language] = self._render_for_all(language, data)
        message = self._shared[language] or self._render_for(account, data)
        return RenderedMessage(message.subject, message.body, message.text + token, message.segments, message.language)

    def _render_for_all(self, language: str, data: Mapping[str, str]) -> RenderedMessage | None:
        words = words_for(self._all_words, language)
        content = _render_for_all(words, tuple(data.items()))
        return self._without_token(words, *content) if content else None

    def _render_for(self, account: Account | Recipient, data: Mapping[str, str]) -> RenderedMessage:
        words = words_for(self._all_words, account.language)
        return self._without_token(words, *_render(words, account, data))

    def _without_token(self, words: TemplateWords, subject: str, body: str) -> RenderedMessage:
        fitted = _fit_subject(subject, self._link_start, self._names)
        language = None if words.is_own else words.language
        return RenderedMessage(subject, body, fitted.text[:-TOKEN_LENGTH], fitted.size.segments, language)


def render_message(
    version: TemplateVersion | TemplateDraft, account: Account | Recipient, data: Mapping[str, str], token: str
) -> RenderedMessage:
    return MessageRenderer(version).render(account, data, token)


@lru_cache(maxsize=64)
def _render_for_all(words: TemplateWords, data: tuple[tuple[str, str], ...]) -> tuple[str, str] | None:
    """What is the same for everybody; None if something in it depends on the recipient."""
    if merge_fields.person_fields(words.subject) or merge_fields.person_fields(words.body):
        return None
    return fill_in(words, {"data": dict(data)})


def _render(words: TemplateWords, account: Account | Recipient, data: Mapping[str, str]) -> tuple[str, str]:
    values = merge_fields.merge_values(
        account.name,
        account.email,
        account.external_id,
        account.account_type,
        data,
        _needed_attributes(words, account),
    )
    return fill_in(words, values)


def _needed_attributes(words: TemplateWords, account: Account | Recipient) -> Mapping[str, str]:
    """Those that the words name, with blank ones. Callers with many recipients have read them before."""
    keys = merge_fields.attribute_names(words.subject, words.body)
    if not keys:
        return {}
    if isinstance(account, Recipient) and account.attributes:
        return account.attributes
    return dict.fromkeys(keys, "") | values_of([account.id], keys).get(account.id, {})


@lru_cache(maxsize=256)
def _fit_subject(subject: str, before_token: str, names: OrganisationNames) -> FittedText:
    """Cached for any token, since all are the same size and most sends have one subject for everybody."""
    return notification_text(subject, before_token + "x" * TOKEN_LENGTH, names)

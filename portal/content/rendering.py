"""Render a template version for one account."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from portal.accounts.tables.accounts import Account, Recipient
from portal.accounts.tables.attributes import values_of
from portal.content.links import TOKEN_LENGTH, communication_url
from portal.content.rules import merge_fields
from portal.content.tables.templates import TemplateVersion
from portal.messages.rules import sms_segments


@dataclass(frozen=True)
class RenderedMessage:
    """`body` is Markdown; `text` is the subject and a link in one segment (docs/consent-rules.md#email-always-goes)."""

    subject: str
    body: str
    text: str
    segments: int


def render_message(
    version: TemplateVersion, account: Account | Recipient, data: Mapping[str, str], token: str
) -> RenderedMessage:
    values = merge_fields.merge_values(
        account.name,
        account.email,
        account.external_id,
        account.account_type,
        data,
        _needed_attributes(version, account),
    )
    subject = merge_fields.render_subject(version.subject, values, reject_blanks=True)
    fitted = _fit_subject(subject, communication_url(""))
    text = fitted.text[:-TOKEN_LENGTH] + token
    body = merge_fields.render_body(version.body, values, reject_blanks=True)
    return RenderedMessage(subject, body, text, fitted.size.segments)


def _needed_attributes(version: TemplateVersion, account: Account | Recipient) -> Mapping[str, str]:
    """Those that the version names, with blank ones. Callers with many recipients have read them before."""
    keys = merge_fields.attribute_names(version.subject, version.body)
    if not keys:
        return {}
    if isinstance(account, Recipient) and account.attributes:
        return account.attributes
    return dict.fromkeys(keys, "") | values_of([account.id], keys).get(account.id, {})


@lru_cache(maxsize=256)
def _fit_subject(subject: str, before_token: str) -> sms_segments.FittedText:
    """Cached for any token, since all are the same size and most sends have one subject for everybody."""
    return sms_segments.fit_one_segment(subject, before_token + "x" * TOKEN_LENGTH)

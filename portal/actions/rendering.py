"""The words one account gets from a template version."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from portal.actions.email_compose import link_for
from portal.domain import merge, sms
from portal.models.account import Account
from portal.models.audience import Recipient
from portal.models.template import TemplateVersion

TOKEN_LENGTH = 8


@dataclass(frozen=True)
class Rendered:
    """`body` is Markdown; `text` is the subject and a link in one segment (docs/consent-rules.md#email-always-goes)."""

    subject: str
    body: str
    text: str
    segments: int


def render_for(version: TemplateVersion, account: Account | Recipient, data: Mapping[str, str], token: str) -> Rendered:
    values = merge.merge_values(account.name, account.email, account.external_id, account.account_type, data)
    subject = merge.render_subject(version.subject, values, reject_blanks=True)
    fitted = _fit(subject, link_for(""))
    text = fitted.text[:-TOKEN_LENGTH] + token
    body = merge.render_body(version.body, values, reject_blanks=True)
    return Rendered(subject, body, text, fitted.weight.segments)


@lru_cache(maxsize=256)
def _fit(subject: str, before_token: str) -> sms.Fitted:
    """With any key in the link, since all of them weigh the same: most sends have one subject for everybody."""
    return sms.fit(subject, before_token + "x" * TOKEN_LENGTH)

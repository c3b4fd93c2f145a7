"""Real people whom a preview or a comparison of a template can be shown for."""

from collections.abc import Sequence

from sqlalchemy import select

from portal.accounts.tables.account_search import BY_NAME, match_conditions
from portal.accounts.tables.accounts import RECIPIENT_COLUMNS, Account, Recipient
from portal.content.tables.templates import TemplateVersion
from portal.core.extensions import db
from portal.messages.tables.communications import Communication
from portal.sends.tables import audience_estimate
from portal.sends.tables.sends import Send

_NEWEST_SENDS = 10
_EVERYBODY = {"all": True, "staff": False}
_ACTIVE = select(*RECIPIENT_COLUMNS).where(Account.active == True)  # noqa: E712  SQL, not Python


def find_recipient(account_id: int) -> Recipient | None:
    """None unless the account is active."""
    return next(iter(_recipients([account_id])), None)


def search_recipients(search_text: str, limit: int) -> list[Recipient]:
    query = _ACTIVE.where(*match_conditions(search_text)).order_by(*BY_NAME).limit(limit)
    return [Recipient(*row) for row in db.session.execute(query)]


def neighboring_recipient(account_id: int, is_forward: bool) -> Recipient | None:
    """The next or previous active account in order of their ids; from the last one, on to the first."""
    order = Account.id.asc() if is_forward else Account.id.desc()
    beyond = Account.id > account_id if is_forward else Account.id < account_id
    for query in (_ACTIVE.where(beyond), _ACTIVE):
        row = db.session.execute(query.order_by(order).limit(1)).first()
        if row is not None:
            return Recipient(*row)
    return None


def past_recipients(template_id: int, limit: int) -> list[Recipient]:
    """Some of those whom the newest sends of the template reached, at most `limit`."""
    versions = select(TemplateVersion.id).where(TemplateVersion.template_id == template_id)
    newest = select(Send.id).where(Send.template_version_id.in_(versions)).order_by(Send.id.desc()).limit(_NEWEST_SENDS)
    account_ids: dict[int, None] = {}
    for send_id in db.session.scalars(newest).all():
        query = select(Communication.account_id).where(Communication.send_id == send_id)
        query = query.order_by(Communication.account_id.desc()).limit(limit - len(account_ids))
        account_ids |= dict.fromkeys(db.session.scalars(query))
        if len(account_ids) >= limit:
            break
    return _recipients(list(account_ids))


def sample_people(limit: int) -> list[Recipient]:
    """An evenly spread sample of all who may be sent to."""
    return audience_estimate.sample_recipients(_EVERYBODY, limit)


def _recipients(account_ids: Sequence[int]) -> list[Recipient]:
    query = _ACTIVE.where(Account.id.in_(account_ids)).order_by(Account.id)
    return [Recipient(*row) for row in db.session.execute(query)] if account_ids else []

"""Sends in the states that pages show differently, for tests that visit every page."""

from sqlalchemy import update

from portal.accounts.tables.accounts import Account
from portal.core.clock import now_ms
from portal.core.extensions import db
from portal.messages.tables.communications import Communication, Delivery
from portal.sends.tables.resends import Resend, ResendRecipient
from portal.sends.tables.sends import Send

PAGES_OF_SENDS = (
    "/Admin/Sends?show=archived",
    "/Admin/Sends/2",
    "/Admin/Sends/2/approval",
    "/Admin/Sends/2/people?people=everybody",
    "/Admin/Sends/2/people?people=without:expires_on",
    "/Admin/Sends/2/people?people=untranslated:es",
    "/Admin/Sends/3",
    "/Admin/Sends/3/countdown",
    "/Admin/Sends/4",
)
_AUTHOR_ID = 5


def add_sends_to_show() -> None:
    """Beside send 1, which then has not reached everybody: 2 waits for approval, 3 begins later, 4 is archived.

    Somebody has chosen a language that their template lacks, and a message was made from a variant. Inside a
    transaction.
    """
    common = {"template_version_id": 1, "data": {}, "created_at_ms": now_ms(), "created_by_id": _AUTHOR_ID}
    later = {"state": "queued", "starts_at_ms": now_ms() + 3_600_000, "approved_by_id": 6, "approved_at_ms": now_ms()}
    ended = {"state": "canceled", "finished_at_ms": 1, "cancel_applied_at_ms": 1, "archived_at_ms": 1}
    db.session.add_all(
        [
            Send(id=2, audience={"all": True}, state="awaiting_approval", start_deadline_ms=1, **common),
            Send(id=3, audience={"all": True}, **later, **common),
            Send(id=4, audience={"round_of": 1, "outcome": "unreached", "until_ms": 1}, **ended, **common),
        ]
    )
    db.session.execute(
        update(Delivery).where(Delivery.channel == "email").values(state="rejected", state_changed_at_ms=1)
    )
    db.session.execute(update(Account).where(Account.external_id == "V-1").values(language="es"))
    db.session.execute(update(Communication).where(Communication.id == 1).values(language="es"))
    db.session.add(Resend(id=1, communication_id=1, created_at_ms=now_ms(), created_by_id=_AUTHOR_ID))
    db.session.flush()
    db.session.add(ResendRecipient(resend_id=1, source_send_id=1, account_id=1, communication_id=1))
    db.session.execute(update(Send).where(Send.id == 1).values(state="done", finished_at_ms=1))

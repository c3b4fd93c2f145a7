"""Whether administrators may read what a message said (ADR 46)."""

from portal.core.translation import N_
from portal.messages.tables.communications import Communication

_DELETED = N_("The content of this message is no longer kept.")
_SENSITIVE = N_("The content is hidden, because the template is sensitive. The recipient can read it.")


def hidden_content(communication: Communication) -> str:
    """Why administrators cannot read the body, to be translated; "" if they can."""
    if communication.body_deleted_at_ms is not None:
        return _DELETED
    send = communication.send
    return _SENSITIVE if send is not None and send.version.template.sensitive else ""

"""Topics of the demo, and some accounts that have switched one off."""

from portal.accounts.tables.accounts import find_by_external_ids
from portal.content.tables.templates import find_template
from portal.content.tables.topics import all_topics
from portal.content.topic_management import add_topic, choose_topics
from portal.core.actor import Actor

_TOPICS = (
    ("Renewals", "When a license or certification is due for renewal.", ("renewal-due-60", "license-expires")),
    ("Audits and applications", "Whether we need something from you.", ("audit-selected", "application-returned")),
)
"""Name, sentence for recipients, and the keys of the templates."""
_OPT_OUTS = {"P-1004": ("Renewals",), "P-1009": ("Audits and applications",), "P-1012": ("Renewals",)}
"""Account numbers, and the topics that these people have switched off."""
_CHOSEN_DAYS_AGO = 60


def load_topics(now_ms: int, created_at_ms: int) -> None:
    """Skip them if there are any."""
    if all_topics():
        return
    ids = {}
    for name, description, keys in _TOPICS:
        templates = [template.id for template in map(find_template, keys) if template]
        ids[name] = add_topic(name, description, templates, None, created_at_ms)
    accounts = find_by_external_ids(list(_OPT_OUTS))
    for external_id, account in accounts.items():
        wanted = [topic_id for name, topic_id in ids.items() if name not in _OPT_OUTS[external_id]]
        at_ms = now_ms - _CHOSEN_DAYS_AGO * 86_400_000
        choose_topics(account.id, ids.values(), wanted, Actor(account.id), at_ms)

"""Topics of templates: administrators declare them, and people switch the texts about one off (ADR 54)."""

from collections.abc import Collection, Sequence

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError

from portal.accounts.tables.accounts import Account
from portal.content.tables.templates import Template
from portal.content.tables.topics import Topic, TopicOptOut, all_topics, topics_in_use, topics_off
from portal.core.actor import Actor
from portal.core.audit_log import record_audit_entry
from portal.core.errors import ActionRefused, InvalidInput
from portal.core.extensions import db
from portal.core.rules import text_input
from portal.core.rules.case_folding import fold_case
from portal.core.transaction import transaction
from portal.core.translation import gettext as _

MAX_NAME_LENGTH, MAX_DESCRIPTION_LENGTH = 60, 200


def add_topic(name: str, description: str, template_ids: Sequence[int], actor_id: int | None, now_ms: int) -> int:
    """Its id. A template that another topic has changes over. Raises `InvalidInput` for `name` or `description`."""
    name, description = _cleaned(None, name, description)
    try:
        with transaction() as session:
            topic = Topic(name=name, description=description, created_at_ms=now_ms, created_by_id=actor_id)
            session.add(topic)
            session.flush()
            templates = _give_templates(topic.id, template_ids)
            record_audit_entry("topic_added", f"topic {name}", actor_id, now_ms, templates=templates)
            return topic.id
    except IntegrityError as error:
        raise _name_taken(name) from error


def change_topic(
    topic_id: int, name: str, description: str, template_ids: Sequence[int], actor_id: int | None, now_ms: int
) -> None:
    """Raises as `add_topic` does, and `ActionRefused`."""
    name, description = _cleaned(topic_id, name, description)
    try:
        with transaction() as session:
            topic = session.get(Topic, topic_id, with_for_update=True)
            if topic is None:
                raise ActionRefused(_("This topic does not exist."))
            detail = {"old_name": topic.name} if topic.name != name else {}
            topic.name, topic.description = name, description
            templates = _give_templates(topic_id, template_ids)
            record_audit_entry("topic_changed", f"topic {name}", actor_id, now_ms, templates=templates, **detail)
    except IntegrityError as error:
        raise _name_taken(name) from error


def choose_topics(
    account_id: int, shown_ids: Collection[int], wanted_ids: Collection[int], actor: Actor, now_ms: int
) -> None:
    """Switch off the texts of the topics that are not wanted, and on again those that are.

    `shown_ids` are the topics that the person saw: one declared since then stays as it is.
    """
    with transaction() as session:
        account = session.get_one(Account, account_id, with_for_update=True)
        off, shown = topics_off(account_id), [topic for topic in topics_in_use() if topic.id in shown_ids]
        unwanted = [topic for topic in shown if topic.id not in wanted_ids and topic.id not in off]
        wanted = [topic for topic in shown if topic.id in wanted_ids and topic.id in off]
        rows = [TopicOptOut(account_id=account_id, topic_id=topic.id, switched_off_at_ms=now_ms) for topic in unwanted]
        session.add_all(rows)
        own = delete(TopicOptOut).where(TopicOptOut.account_id == account_id)
        session.execute(own.where(TopicOptOut.topic_id.in_([topic.id for topic in wanted])))
        if unwanted or wanted:
            detail = {"account_id": account_id, "off": _names(unwanted), "on": _names(wanted)}
            subject = f"account {account.external_id}"
            record_audit_entry("topics_chosen", subject, actor.account_id, now_ms, **detail)


def _give_templates(topic_id: int, template_ids: Sequence[int]) -> list[str]:
    """Exactly these; their keys."""
    chosen = Template.id.in_(template_ids)
    silent = {"synchronize_session": False}
    removed = update(Template).where(Template.topic_id == topic_id, ~chosen).values(topic_id=None)
    db.session.execute(removed, execution_options=silent)
    db.session.execute(update(Template).where(chosen).values(topic_id=topic_id), execution_options=silent)
    return list(db.session.scalars(select(Template.key).where(chosen).order_by(Template.key)))


def _cleaned(topic_id: int | None, name: str, description: str) -> tuple[str, str]:
    name, description = text_input.clean_line(name), text_input.clean_line(description)
    limits = {"name": (name, MAX_NAME_LENGTH), "description": (description, MAX_DESCRIPTION_LENGTH)}
    errors = {
        field: _("Use %(limit)s characters or fewer. You have used %(length)s.", limit=limit, length=len(text))
        for field, (text, limit) in limits.items()
        if len(text) > limit
    }
    if not name:
        errors["name"] = _("Enter a name, such as Exam dates.")
    if not description:
        errors["description"] = _("Say in one sentence what these texts are about.")
    if errors:
        raise InvalidInput(errors)
    if any(fold_case(other.name) == fold_case(name) and other.id != topic_id for other in all_topics()):
        raise _name_taken(name)
    return name, description


def _name_taken(name: str) -> InvalidInput:
    return InvalidInput({"name": _("Another topic is called “%(name)s” already. Choose another name.", name=name)})


def _names(topics: Sequence[Topic]) -> list[str]:
    return [topic.name for topic in topics]

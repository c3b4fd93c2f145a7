"""Administration → Messages → Topics: declare them, and say which templates are about what."""

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user
from wtforms import StringField

from portal.content import topic_management
from portal.content.tables.templates import TemplateVersion, current_template_versions
from portal.content.tables.topics import Topic, all_topics, count_opt_outs
from portal.core.clock import now_ms
from portal.core.errors import InvalidInput
from portal.core.extensions import db
from portal.core.translation import gettext as _
from portal.core.translation import lazy_gettext
from portal.web.access import allow
from portal.web.base_form import IdsField, PortalForm

pages = Blueprint("admin_topics", __name__, url_prefix="/Admin/Topics")


class TopicForm(PortalForm):
    name = StringField(lazy_gettext("Name"), description=lazy_gettext("People see it, such as Exam dates."))
    description = StringField(
        lazy_gettext("Description"),
        description=lazy_gettext("One sentence: what the texts are about."),
    )
    templates = IdsField(default=list)

    @property
    def values(self) -> tuple[str, str, list[int]]:
        return self.name.data, self.description.data, self.templates.data


@pages.get("")
@allow("admin")
def listing() -> str:
    versions, found = current_template_versions(), all_topics()
    names = {topic.id: [row.template.name for row in versions if row.template.topic_id == topic.id] for topic in found}
    return render_template("admin/topics/index.html", topics=found, templates=names, opt_outs=count_opt_outs())


@pages.get("/new")
@allow("admin")
def new() -> ResponseReturnValue:
    return _editor(None, TopicForm())


@pages.post("/new")
@allow("admin")
def create() -> ResponseReturnValue:
    form = TopicForm()
    try:
        topic_management.add_topic(*form.values, current_user.id, now_ms())
    except InvalidInput as error:
        return _editor(None, form.with_errors(error))
    return _back_to_list(_("Topic “%(name)s” is added.", name=form.name.data))


@pages.get("/<id:topic_id>")
@allow("admin")
def edit(topic_id: int) -> ResponseReturnValue:
    topic = _topic_or_404(topic_id)
    own = [row.template_id for row in current_template_versions() if row.template.topic_id == topic_id]
    return _editor(topic, TopicForm(obj=topic, templates=own))


@pages.post("/<id:topic_id>")
@allow("admin")
def save(topic_id: int) -> ResponseReturnValue:
    topic, form = _topic_or_404(topic_id), TopicForm()
    try:
        topic_management.change_topic(topic_id, *form.values, current_user.id, now_ms())
    except InvalidInput as error:
        return _editor(topic, form.with_errors(error))
    return _back_to_list(_("Topic “%(name)s” is saved.", name=form.name.data))


def _topic_or_404(topic_id: int) -> Topic:
    return db.session.get(Topic, topic_id) or abort(404)


def _editor(topic: Topic | None, form: TopicForm) -> ResponseReturnValue:
    page = render_template(
        "admin/topics/editor.html",
        topic=topic,
        form=form,
        versions=[row for row in current_template_versions() if _is_offered(row, form)],
        names={other.id: other.name for other in all_topics()},
        opt_outs=count_opt_outs().get(topic.id, 0) if topic else 0,
    )
    return page, 422 if form.errors else 200


def _is_offered(version: TemplateVersion, form: TopicForm) -> bool:
    return version.template.archived_at_ms is None or version.template_id in form.templates.data


def _back_to_list(message: str) -> ResponseReturnValue:
    flash(message, "info")
    return redirect(url_for("admin_topics.listing"), 303)

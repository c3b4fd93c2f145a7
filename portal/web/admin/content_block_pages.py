"""Administration → content blocks: edit the portal's own texts with a preview, and restore older versions.

Each language of a block is a block of its own (`ContentBlock`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user
from wtforms import HiddenField, TextAreaField

from portal.content import content_blocks
from portal.content.content_blocks import BlockPreview
from portal.content.message_templates import VersionConflict, edit_conflict_message
from portal.content.rules import text_diff
from portal.content.rules.content_block_checks import BLOCK_FIELDS, BLOCKS, PUBLIC_PAGES, ContentBlock, localizations
from portal.content.tables.content_versions import ContentVersion, block_versions, current_block_versions
from portal.core.clock import now_ms
from portal.core.errors import InvalidInput
from portal.core.translation import gettext as _
from portal.core.translation import lazy_gettext
from portal.web.access import allow, has_role
from portal.web.base_form import PortalForm
from portal.web.layout import is_sms_visible
from portal.web.request_input import is_htmx_request, parse_version

pages = Blueprint("admin_content", __name__, url_prefix="/Admin/ContentBlocks")


@dataclass(frozen=True)
class BlockStatus:
    """A block in one language, in the list. `version` is None while it has its shipped wording."""

    block: ContentBlock
    version: ContentVersion | None
    preview: BlockPreview
    is_outdated: bool


class RestoreForm(PortalForm):
    """`base_version` is the version that was in use when the page was opened."""

    base_version = HiddenField(filters=[parse_version])


class ContentBlockForm(RestoreForm):
    text = TextAreaField(lazy_gettext("Content"))


@pages.get("")
@allow("admin")
def listing() -> str:
    """One row for a block, with its languages side by side."""
    stored, groups = current_block_versions(), dict[str, list[list[BlockStatus]]]()
    for block in BLOCKS.values():
        if block.key == block.base_key and _is_visible(block):
            groups.setdefault(block.group, []).append(_statuses(block.key, stored))
    return render_template("admin/content/index.html", groups=groups)


@pages.get("/<key>")
@allow("admin")
def edit(key: str) -> ResponseReturnValue:
    current_version = _versions(_block(key))[0]
    return _editor(key, ContentBlockForm(text=current_version.text, base_version=str(current_version.number)))


@pages.post("/<key>")
@allow("admin")
def save(key: str) -> ResponseReturnValue:
    _block(key)
    form = ContentBlockForm()
    base_version = form.base_version.data
    try:
        number = content_blocks.save_block(key, form.text.data, current_user.id, now_ms(), base_version)
    except InvalidInput as error:
        return _editor(key, form.with_errors(error))
    except VersionConflict:
        form.base_version.data = current_number = _versions(_block(key))[0].number
        return _editor(key, form.with_errors(InvalidInput({"text": edit_conflict_message(current_number)})))
    return _saved(key, number, base_version)


@pages.post("/<key>/preview")
@allow("admin")
def preview(key: str) -> ResponseReturnValue:
    """htmx gets only the preview; without JavaScript the whole editor is rendered."""
    block, form = _block(key), ContentBlockForm()
    if is_htmx_request():
        block_preview = content_blocks.preview_block(key, form.text.data)
        return render_template("admin/content/_preview.html", block=block, preview=block_preview)
    return _editor(key, form)


@pages.get("/<key>/versions/0", defaults={"number": 0})
@pages.get("/<key>/versions/<id:number>")
@allow("admin")
def version(key: str, number: int) -> ResponseReturnValue:
    return _version_page(key, number)


@pages.post("/<key>/versions/0/restore", defaults={"number": 0})
@pages.post("/<key>/versions/<id:number>/restore")
@allow("admin")
def restore(key: str, number: int) -> ResponseReturnValue:
    """Version 0 resets the block to the default."""
    text = _find_version(_versions(_block(key)), number).text
    base_version = RestoreForm().base_version.data
    try:
        new_number = content_blocks.save_block(key, text, current_user.id, now_ms(), base_version, number)
    except VersionConflict as error:
        return _version_page(key, number, _("%(problem)s Check it below, then try again.", problem=error.message))
    except InvalidInput as error:
        problem = _("This content is no longer valid. %(problem)s", problem=error.message)
        return _version_page(key, number, problem)
    return _saved(key, new_number, base_version)


def _statuses(key: str, stored: Mapping[str, ContentVersion]) -> list[BlockStatus]:
    outdated = content_blocks.outdated_localizations(key, stored)
    statuses = []
    for block in localizations(key):
        version = stored.get(block.key)
        block_preview = content_blocks.preview_block(block.key, version.text if version else block.default)
        statuses.append(BlockStatus(block, version, block_preview, block in outdated))
    return statuses


def _is_visible(block: ContentBlock) -> bool:
    """The public pages are written before texts are on."""
    return is_sms_visible() or not block.is_sms or (block.base_key in PUBLIC_PAGES and has_role("sysadmin"))


def _block(key: str) -> ContentBlock:
    """404 for an unknown block and, while texts are hidden, for a block about texts."""
    block = BLOCKS.get(key)
    return block if block and _is_visible(block) else abort(404)


def _versions(block: ContentBlock) -> list[ContentVersion]:
    """Newest first; last the shipped default, which has number 0 and is not stored."""
    return [*block_versions(block.key), ContentVersion(key=block.key, number=0, text=block.default)]


def _find_version(versions: list[ContentVersion], number: int) -> ContentVersion:
    return next((version for version in versions if version.number == number), None) or abort(404)


def _editor(key: str, form: ContentBlockForm) -> ResponseReturnValue:
    block = _block(key)
    page = render_template(
        "admin/content/editor.html",
        block=block,
        languages=localizations(key),
        outdated=content_blocks.outdated_localizations(key, current_block_versions()),
        form=form,
        versions=_versions(block),
        preview=content_blocks.preview_block(key, form.text.data),
        fields={name: label for name, label in BLOCK_FIELDS.items() if block.is_sms or not name.endswith("_number")},
    )
    return page, 422 if form.errors else 200


def _version_page(key: str, number: int, problem: str = "") -> ResponseReturnValue:
    block = _block(key)
    versions = _versions(block)
    version = _find_version(versions, number)
    previous = next((other for other in versions if other.number < number), None)
    page = render_template(
        "admin/content/version.html",
        block=block,
        version=version,
        current_version=versions[0],
        previous=previous,
        diff_from_previous=text_diff.diff_words(previous.text, version.text) if previous else (),
        diff_if_restored=text_diff.diff_words(versions[0].text, version.text),
        preview=content_blocks.preview_block(key, version.text),
        problem=problem,
    )
    return page, 422 if problem else 200


def _saved(key: str, number: int, base_version: int) -> ResponseReturnValue:
    """Saving the current text adds no version."""
    unchanged = _("This content is already in use, so nothing was changed.")
    saved = _("Version %(number)s is saved and in use.", number=number)
    flash(unchanged if number == base_version else saved, "info")
    return redirect(url_for("admin_content.edit", key=key), 303)

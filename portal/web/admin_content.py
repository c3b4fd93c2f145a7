"""Administration → content blocks: the portal's own texts, previewed and checked while writing, every version kept."""

from dataclasses import dataclass

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user

from portal.actions import content as actions
from portal.actions.content import Preview
from portal.actions.errors import Invalid
from portal.actions.templates import Overtaken
from portal.clock import now_ms
from portal.domain import difference
from portal.domain.wording import BLOCKS, FIELDS, Block
from portal.models.content import ContentVersion, all_current, versions_of
from portal.web.access import allow
from portal.web.layout import sms_shown
from portal.web.parsing import as_id, by_htmx, typed

pages = Blueprint("admin_content", __name__, url_prefix="/Admin/ContentBlocks")
_NEVER = -1


@dataclass(frozen=True)
class Version:
    """A version, or the default that ships (number 0, nobody's)."""

    number: int
    text: str
    saved: ContentVersion | None


@pages.get("")
@allow("admin")
def listing() -> str:
    stored = all_current()
    groups: dict[str, list[tuple[Block, ContentVersion | None, Preview]]] = {}
    for block in BLOCKS.values():
        if _shown(block):
            version = stored.get(block.key)
            seen = actions.preview(block.key, version.text if version else block.default)
            groups.setdefault(block.group, []).append((block, version, seen))
    return render_template("admin/content/index.html", groups=groups)


@pages.get("/<key>")
@allow("admin")
def edit(key: str) -> ResponseReturnValue:
    in_force = _versions(_block(key))[0]
    return _editor(key, in_force.text, in_force.number)


@pages.post("/<key>")
@allow("admin")
def save(key: str) -> ResponseReturnValue:
    _block(key)
    text, based_on = typed("text"), _based_on()
    try:
        number = actions.save_block(key, text, current_user.id, now_ms(), based_on)
    except Invalid as error:
        return _editor(key, text, based_on, error.errors)
    except Overtaken:
        in_force = _versions(_block(key))[0]
        return _editor(key, text, in_force.number, {"text": _overtaken_words(in_force)})
    return _saved(key, number, based_on)


@pages.post("/<key>/preview")
@allow("admin")
def preview(key: str) -> ResponseReturnValue:
    """While writing, htmx gets the preview alone; without JavaScript the whole editor comes back with it."""
    block, text = _block(key), typed("text")
    if by_htmx():
        return render_template("admin/content/_preview.html", block=block, preview=actions.preview(key, text))
    return _editor(key, text, _based_on())


@pages.get("/<key>/versions/0", defaults={"number": 0})
@pages.get("/<key>/versions/<id:number>")
@allow("admin")
def version(key: str, number: int) -> ResponseReturnValue:
    return _version_page(key, number)


@pages.post("/<key>/versions/0/restore", defaults={"number": 0})
@pages.post("/<key>/versions/<id:number>/restore")
@allow("admin")
def restore(key: str, number: int) -> ResponseReturnValue:
    """Version 0 resets to the default. Who restores an older one sees first what that would change."""
    _one(_versions(_block(key)), number)
    based_on = _based_on()
    try:
        made = actions.restore(key, number, current_user.id, now_ms(), based_on)
    except Overtaken as error:
        return _version_page(key, number, f"{error.sentence} Look at it below, then decide again.")
    except Invalid as error:
        return _version_page(key, number, f"These words cannot be used any more. {error.sentence}")
    return _saved(key, made, based_on)


def _shown(block: Block) -> bool:
    return sms_shown() or not block.of_sms


def _block(key: str) -> Block:
    """A block that hides with everything of SMS is as unknown as one that never was."""
    block = BLOCKS.get(key)
    return block if block and _shown(block) else abort(404)


def _versions(block: Block) -> list[Version]:
    """The one in force first, the default last."""
    saved = [Version(found.number, found.text, found) for found in versions_of(block.key)]
    return [*saved, Version(0, block.default, None)]


def _one(versions: list[Version], number: int) -> Version:
    return next((version for version in versions if version.number == number), None) or abort(404)


def _based_on() -> int:
    """The version that the form began with; what cannot be read is the number of none."""
    text = typed("based_on")
    return 0 if text == "0" else as_id(text) or _NEVER


def _editor(key: str, text: str, based_on: int, errors: dict[str, str] | None = None) -> ResponseReturnValue:
    block = _block(key)
    page = render_template(
        "admin/content/editor.html",
        block=block,
        text=text,
        based_on=based_on,
        versions=_versions(block),
        errors=errors or {},
        preview=actions.preview(key, text),
        fields={name: words for name, words in FIELDS.items() if block.of_sms or not name.endswith("_number")},
    )
    return page, 422 if errors else 200


def _version_page(key: str, number: int, problem: str = "") -> ResponseReturnValue:
    block = _block(key)
    versions = _versions(block)
    found = _one(versions, number)
    before = next((version for version in versions if version.number < number), None)
    page = render_template(
        "admin/content/version.html",
        block=block,
        version=found,
        in_force=versions[0],
        before=before,
        since_before=difference.between(before.text, found.text) if before else (),
        if_restored=difference.between(versions[0].text, found.text),
        preview=actions.preview(key, found.text),
        problem=problem,
    )
    return page, 422 if problem else 200


def _overtaken_words(in_force: Version) -> str:
    return (
        f"Somebody saved version {in_force.number:,} while you were writing. "
        "Your words are kept here: compare them with that version, then save again."
    )


def _saved(key: str, number: int, based_on: int) -> ResponseReturnValue:
    """Saving the words that are in force already makes no version."""
    same = "These words are in use already, so nothing was changed."
    flash(same if number == based_on else f"Version {number:,} is saved and in use.", "info")
    return redirect(url_for("admin_content.edit", key=key), 303)

"""The guides as pages: a list, and a page for each that the viewer's role may read."""

from flask import Blueprint, Response, abort, render_template, request, send_from_directory

from portal.core.translation import N_, current_language
from portal.core.translation import gettext as _
from portal.web.access import allow, has_role, public
from portal.web.help.guides import GUIDES, PICTURES, Guide, find_guide, picture_digest, render_guide
from portal.web.layout import has_public_pages
from portal.web.organisation_files import cached_forever

pages = Blueprint("help", __name__, url_prefix="/Help")
_READERS = {"": N_("For everybody"), "admin": N_("For administrators"), "sysadmin": N_("For system administrators")}
"""The heading above the guides of each role."""


def _address(role: str) -> str:
    """The addresses of the guides for a role, whose view then declares the role."""
    return f"/<any({', '.join(guide.name for guide in GUIDES if guide.role == role)}):name>"


@pages.get("")
@public
def listing() -> str:
    readable = [guide for guide in GUIDES if is_readable(guide)]
    groups = {_(heading): [guide for guide in readable if guide.role == role] for role, heading in _READERS.items()}
    return render_template("help/index.html", groups={heading: guides for heading, guides in groups.items() if guides})


@pages.get(_address(""))
@public
def guide_for_everybody(name: str) -> str:
    return _guide_page(name)


@pages.get(_address("admin"))
@allow("admin")
def guide_for_admins(name: str) -> str:
    return _guide_page(name)


@pages.get(_address("sysadmin"))
@allow("sysadmin")
def guide_for_sysadmins(name: str) -> str:
    return _guide_page(name)


@pages.get("/pictures/<name>")
@public
def picture(name: str) -> Response:
    if not (digest := picture_digest(name)):
        abort(404)
    response = send_from_directory(PICTURES, name, mimetype="image/webp")
    return cached_forever(response) if request.args.get("v") == digest else response


def is_readable(guide: Guide) -> bool:
    """Whether the viewer may read it. While texts are off, pages hide what is about texts."""
    if guide.role and not has_role(guide.role):
        return False
    return not guide.is_about_texts or has_public_pages() or has_role("admin")


def _guide_page(name: str) -> str:
    guide = find_guide(name)
    if guide is None or not is_readable(guide):
        abort(404)
    return render_template("help/guide.html", guide=guide, text=render_guide(name, current_language().code))

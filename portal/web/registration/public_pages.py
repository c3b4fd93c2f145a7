"""The public pages about texts, which carriers read: terms, privacy policy, and the form as people meet it.

They are shown while texts are off too, because a number is registered before it sends.
"""

from flask import Blueprint, abort, render_template

from portal.content import content_blocks
from portal.content.rules.content_block_checks import OPT_IN_PAGE, OPT_IN_PROMPT, PRIVACY, TERMS, WELCOME_TEXT
from portal.core.translation import N_
from portal.core.translation import gettext as _
from portal.web.access import public

pages = Blueprint("public_pages", __name__, url_prefix="/sms")
_PAGES = {
    "terms": (TERMS, N_("Text message terms")),
    "privacy": (PRIVACY, N_("Text message privacy policy")),
    "opt-in": (OPT_IN_PAGE, N_("Getting text messages")),
}
"""The content block and the title of each page."""


@pages.get("/<name>")
@public
def page(name: str) -> str:
    if name not in _PAGES:
        abort(404)
    key, title = _PAGES[name]
    text = content_blocks.render_block(key).markdown
    if key != OPT_IN_PAGE:
        return render_template("registration/page.html", title=_(title), text=text)
    return render_template(
        "registration/opt_in.html",
        title=_(title),
        text=text,
        prompt=content_blocks.render_block(OPT_IN_PROMPT).markdown,
        confirmation=content_blocks.render_block(WELCOME_TEXT).text,
    )

"""The public pages about texts, which carriers read: terms, privacy policy, and the form as people meet it.

They are shown while texts are off too, because a number is registered before it sends.
"""

from flask import Blueprint, abort, render_template, request

from portal.content import content_blocks
from portal.content.rules.content_block_checks import OPT_IN_PAGE, OPT_IN_PROMPT, PRIVACY, TERMS, WELCOME_TEXT
from portal.core.translation import LANGUAGES, N_, current_language, language_named
from portal.core.translation import gettext as _
from portal.web.access import public
from portal.web.languages import answer_in
from portal.web.request_input import query_text

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
    """In the reader's language, or in that of the address, `?language=es`, so that reviewers can open either."""
    if name not in _PAGES:
        abort(404)
    if (wanted := query_text("language")) in LANGUAGES:
        answer_in(language_named(wanted))
    return _render_page(*_PAGES[name], current_language().code)


def _render_page(key: str, title: str, language: str) -> str:
    """The switch of the language leads to the address without one, which would undo the choice."""
    words = {
        "title": _(title),
        "text": content_blocks.render_block(key, language=language).markdown,
        "page_after_choice": request.path,
    }
    if key != OPT_IN_PAGE:
        return render_template("registration/page.html", **words)
    return render_template(
        "registration/opt_in.html",
        **words,
        prompt=content_blocks.render_block(OPT_IN_PROMPT, language=language).markdown,
        confirmation=content_blocks.render_block(WELCOME_TEXT, language=language).text,
    )

"""The language of a request, and gettext for templates."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

from flask import Blueprint, Flask, Response, g, redirect, request
from flask.typing import ResponseReturnValue
from flask_security import current_user
from jinja2 import pass_context, pass_eval_context
from jinja2.nodes import EvalContext
from markupsafe import Markup
from werkzeug.wrappers import Response as BaseResponse
from wtforms import StringField

from portal.accounts.account_editing import edit_account
from portal.accounts.account_language import recipient_language
from portal.accounts.tables.accounts import Account
from portal.core import translation
from portal.core.clock import now_ms
from portal.core.context import settings
from portal.core.translation import LANGUAGES, Language, current_language, language_named, use_language, with_separators
from portal.core.translation import gettext as _
from portal.web.access import page_to_return_to, public
from portal.web.authentication.host_cookies import read_cookie, set_cookie
from portal.web.base_form import PortalForm
from portal.web.request_input import is_webhook_request, safe_redirect_target

pages = Blueprint("languages", __name__)
_COOKIE, _COOKIE_SECONDS = "language", 365 * 24 * 3600
_OF_ACCOUNT = ".account"
"""Marks the language of an account in the cookie: it must not become that of the next person in this browser."""


def init_app(app: Flask) -> None:
    app.before_request(_use_chosen_language)
    app.after_request(_name_language)
    app.teardown_request(_leave_language)
    jinja = app.jinja_env
    jinja.add_extension("jinja2.ext.i18n")
    jinja.newstyle_gettext = True  # type: ignore[attr-defined]
    jinja.policies["ext.i18n.trimmed"] = True
    jinja.globals |= {"_": _gettext, "gettext": _gettext, "ngettext": _ngettext, "language": _language_code}
    jinja.globals |= {"offered_languages": _offered_languages, "page_to_return_to": page_to_return_to}
    jinja.filters["translate"] = _translate


class LanguageForm(PortalForm):
    language = StringField()
    next = StringField()


@pages.post("/Language")
@public
def choose() -> ResponseReturnValue:
    """Anything else than the code of a language changes nothing."""
    form = LanguageForm()
    code, response = form.language.data, redirect(safe_redirect_target(form.next.data), 303)
    if code in LANGUAGES:
        if current_user.is_authenticated:
            _save_language(current_user.id, code)
            remember_language(response, code)
        else:
            _set_cookie(response, code)
    return response


def remember_language(response: BaseResponse, code: str) -> None:
    """That of an account, for pages without one: when nobody is signed in, or the database does not answer.

    "" is none.
    """
    _set_cookie(response, code and code + _OF_ACCOUNT)


def _set_cookie(response: BaseResponse, code: str) -> None:
    set_cookie(response, _COOKIE, code, _COOKIE_SECONDS if code else 0)


def keep_choice(response: BaseResponse, account: Account) -> None:
    """Who signs in has the language of the account; without one, what a visitor chose before becomes that."""
    chosen = read_cookie(_COOKIE)
    if not account.language and chosen in LANGUAGES:
        _save_language(account.id, chosen)
    remember_language(response, account.language)


def _save_language(account_id: int, code: str) -> None:
    edit_account(account_id, {"language": code}, {}, {}, account_id, now_ms())


def language_choices() -> dict[str, str]:
    """The choices of an account."""
    default = LANGUAGES[recipient_language("").code]
    return {"": _("Not chosen: messages are in %(language)s", language=default), **LANGUAGES}


def visitor_language() -> Language:
    """Without an account: what was chosen in this browser, else what it asks for, else the language of the portal."""
    chosen, default = read_cookie(_COOKIE).removesuffix(_OF_ACCOUNT), settings().language
    preferred = [default, *(code for code in LANGUAGES if code != default)]
    return language_named(chosen if chosen in LANGUAGES else request.accept_languages.best_match(preferred, default))


def request_language() -> Language:
    """That of the account, else that of the visitor."""
    chosen = current_user.language if current_user.is_authenticated else ""
    return language_named(chosen) if chosen in LANGUAGES else visitor_language()


def _use_chosen_language() -> None:
    """First that of the visitor, so that an error page has one if the account cannot be read."""
    if is_webhook_request() or request.endpoint == "static":
        return
    g.language = ExitStack()
    for chosen in (visitor_language, request_language):
        g.language.enter_context(use_language(chosen()))


def answer_in(language: Language) -> None:
    """The rest of this request is in another language than the reader's."""
    g.language.enter_context(use_language(language))


def _name_language(response: Response) -> Response:
    if "language" in g and response.mimetype == "text/html":
        response.headers["Content-Language"] = current_language().code
        response.vary.update(("Accept-Language", "Cookie"))
    return response


def _leave_language(_error: BaseException | None) -> None:
    if language := g.pop("language", None):
        language.close()


def keep_language(pieces: Iterator[str]) -> Iterator[str]:
    """For a response that streams after its request has ended."""
    language = current_language()

    def stream() -> Iterator[str]:
        with use_language(language):
            yield from pieces

    return stream()


def _offered_languages() -> dict[str, str]:
    """None where there is no session, as for webhooks."""
    return LANGUAGES if "language" in g else {}


def _language_code() -> str:
    return current_language().code


@pass_eval_context
def _gettext(context: EvalContext, message: str, /, **values: object) -> str:
    """A message written in a template may contain tags; its values are escaped."""
    return _filled(context, translation.gettext(message), values)


@pass_eval_context
def _ngettext(context: EvalContext, one: str, many: str, num: int, /, **values: object) -> str:
    text = current_language().catalog.ngettext(one, many, num)
    return _filled(context, text, {"num": num, **values})


def _filled(context: EvalContext, text: str, values: dict[str, object]) -> str:
    return (Markup(text) if context.autoescape else text) % with_separators(values)  # noqa: S704  our own words


@pass_context  # so that Jinja does not translate a constant when it compiles the template
def _translate(_context: Any, words: str) -> str:
    """Words from a table (`N_`). Escaped like any value."""
    return translation.gettext(words)

"""The language of a request, and gettext for templates."""

from collections.abc import Iterator
from typing import Any

from flask import Flask, g
from flask_babel import Babel, get_locale, get_translations
from jinja2 import pass_context, pass_eval_context
from jinja2.nodes import EvalContext
from markupsafe import Markup

from portal.core import translation
from portal.core.translation import Language, current_language, use_language, with_separators
from portal.web.request_input import is_webhook_request


def init_app(app: Flask) -> None:
    Babel(app, configure_jinja=False, locale_selector=choose_language)
    app.before_request(_use_chosen_language)
    app.teardown_request(_leave_language)
    jinja = app.jinja_env
    jinja.add_extension("jinja2.ext.i18n")
    jinja.newstyle_gettext = True  # type: ignore[attr-defined]
    jinja.policies["ext.i18n.trimmed"] = True
    jinja.globals |= {"_": _gettext, "gettext": _gettext, "ngettext": _ngettext, "language": _language_code}
    jinja.filters["translate"] = _translate


def choose_language() -> str:
    """The language of the request: English, until accounts have one."""
    return "en"


def _use_chosen_language() -> None:
    if is_webhook_request():
        return
    g.language = use_language(Language(str(get_locale()), get_translations()))
    g.language.__enter__()


def _leave_language(_error: BaseException | None) -> None:
    if language := g.pop("language", None):
        language.__exit__(None, None, None)


def keep_language(pieces: Iterator[str]) -> Iterator[str]:
    """For a response that streams after its request has ended."""
    language = current_language()

    def stream() -> Iterator[str]:
        with use_language(language):
            yield from pieces

    return stream()


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

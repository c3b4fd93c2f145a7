"""Where everybody signs in by single sign-on, the pages for passwords say so and do nothing."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import render_template
from flask.typing import ResponseReturnValue

from portal.core.context import settings


def needs_password_sign_in(view: Callable[..., ResponseReturnValue]) -> Callable[..., ResponseReturnValue]:
    """Refuses the view while `PORTAL_PASSWORD_SIGN_IN` is off."""

    @wraps(view)
    def checked(*arguments: Any, **values: Any) -> ResponseReturnValue:
        return view(*arguments, **values) if settings().password_sign_in else passwords_off_page()

    return checked


def passwords_off_page() -> ResponseReturnValue:
    return render_template("security/passwords_off.html", single_sign_on=settings().single_sign_on), 403

"""An administrator who opens one page after the other, and how long each takes."""

import re
import time
from collections.abc import Callable, Sequence
from statistics import quantiles

import requests

from portal.accounts.account_management import NewAccount, create_account
from portal.core.clock import now_ms

_EMAIL, _PASSWORD = "bench-admin@example.org", "bench-admin-password"
_PAUSE_SECONDS = 0.02
_TOKEN = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')


def add_admin() -> None:
    create_account(NewAccount("BENCH-ADMIN", "Administrator", _EMAIL, "Staff", "admin", "UTC", _PASSWORD), now_ms())


def sign_in(url: str) -> requests.Session:
    session = requests.Session()
    token = _TOKEN.search(session.get(f"{url}/SignIn", timeout=30).text)
    form = {"email": _EMAIL, "password": _PASSWORD, "csrf_token": token[1] if token else ""}
    session.post(f"{url}/SignIn", data=form, allow_redirects=False, timeout=30)
    return session


def load_while(
    session: requests.Session, url: str, paths: Sequence[str], going_on: Callable[[], bool]
) -> dict[str, list[float]]:
    """Milliseconds of every opening, by path. Raises when a page does not answer 200."""
    took: dict[str, list[float]] = {path: [] for path in paths}
    while going_on():
        for path in paths:
            began = time.perf_counter()
            answer = session.get(f"{url}{path}", allow_redirects=False, timeout=60)
            took[path].append(1000 * (time.perf_counter() - began))
            if answer.status_code != 200:
                raise RuntimeError(f"{path} answered {answer.status_code}")
            time.sleep(_PAUSE_SECONDS)
    return took


def p95(values_ms: Sequence[float]) -> float:
    return quantiles(values_ms, n=20)[-1] if len(values_ms) > 1 else values_ms[0]

"""Page load times as an administrator opens one page after another."""

import re
import time
from collections.abc import Callable, Sequence
from statistics import quantiles

import requests

from portal.accounts.account_management import NewAccount, create_account
from portal.core.clock import now_ms

EMAIL, PASSWORD = "bench-admin@example.org", "maple-lantern-river"
_PAUSE_SECONDS = 0.02
_TOKEN = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')


def add_admin(role: str = "admin") -> None:
    create_account(NewAccount("BENCH-ADMIN", "Administrator", EMAIL, "Staff", role, "UTC", PASSWORD), now_ms())


def sign_in(url: str) -> requests.Session:
    session = requests.Session()
    token = _TOKEN.search(session.get(f"{url}/SignIn", timeout=30).text)
    form = {"email": EMAIL, "password": PASSWORD, "csrf_token": token[1] if token else ""}
    session.post(f"{url}/SignIn", data=form, allow_redirects=False, timeout=30)
    return session


def load_while(
    session: requests.Session, url: str, paths: Sequence[str], is_running: Callable[[], bool]
) -> dict[str, list[float]]:
    """Milliseconds of every request, by path. Raises `RuntimeError` if a page does not answer 200."""
    durations_ms: dict[str, list[float]] = {path: [] for path in paths}
    while is_running():
        for path in paths:
            started = time.perf_counter()
            response = session.get(f"{url}{path}", allow_redirects=False, timeout=60)
            durations_ms[path].append(1000 * (time.perf_counter() - started))
            if response.status_code != 200:
                raise RuntimeError(f"{path} answered {response.status_code}")
            time.sleep(_PAUSE_SECONDS)
    return durations_ms


def p95(values_ms: Sequence[float]) -> float:
    return quantiles(values_ms, n=20)[-1] if len(values_ms) > 1 else values_ms[0]

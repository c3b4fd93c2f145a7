"""One API request while it is being handled."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from simulator.faults.model import FaultRule
from simulator.state import State
from simulator.storage.request_log import LogEntry


@dataclass
class ApiRequest:
    """`form` holds the form fields, and `fault` the fault that applies to this request, if any."""

    web: web.Request
    state: State
    form: Mapping[str, str]
    log_entry: LogEntry
    fault: FaultRule | None = None

    @property
    def is_test(self) -> bool:
        return self.log_entry.account_sid == self.state.settings.test.account_sid


ApiHandler = Callable[[ApiRequest], Awaitable[web.Response]]


def is_disconnected(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()

"""No random request makes the portal fail, and none has an effect that its sender may not have.

FUZZ_REQUESTS is how many there are; `make fuzz` sends 10,000.
"""

import os

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from portal.consent.ledger_verification import verify_chain
from portal.core.extensions import db
from tests.support.databases.database_snapshot import DatabaseSnapshot
from tests.support.pages.access_matrix import Requester, matrix_rows
from tests.support.pages.filled_portal import OWNER, SYSADMIN
from tests.support.pages.fuzzed_requests import FuzzedRequest, KnownRoutes, page_requests, webhook_requests
from tests.web.access.test_access_matrix import WRITTEN_BY_DENIALS

REQUESTS = int(os.environ.get("FUZZ_REQUESTS", "1000"))
REFUSED = (400, 401, 403, 404, 405, 413, 415)
HIGHER_ROLES = "SELECT external_id, role FROM account WHERE role <> 'user' ORDER BY id"
UNREADY = ("/readyz", 503)
"""There is no queue, and this page says so."""


class FuzzedPortal:
    def __init__(self, app: Flask, requester: Requester, snapshot: DatabaseSnapshot) -> None:
        self._app, self._snapshot, self._requester = app, snapshot, requester
        self.routes = KnownRoutes(app, self._requester, matrix_rows())
        snapshot.restore()

    def check(self, request: FuzzedRequest) -> None:
        """What follows a redirect shows what the request has changed."""
        response = self._requester.send(
            request.person,
            request.method,
            request.address,
            request.body,
            request.content_type,
            request.headers,
            request.is_chunked,
        )
        try:
            self._check_answer(request, response)
            if response.status_code in (302, 303) and response.location.startswith("/"):
                assert self._requester.send(request.person, "GET", response.location).status_code < 500
        finally:
            self._snapshot.restore()

    def _check_answer(self, request: FuzzedRequest, response: TestResponse) -> None:
        path = request.address.partition("?")[0]
        assert response.status_code < 500 or (path, response.status_code) == UNREADY
        if not self._snapshot.is_changed():
            return
        if response.status_code in REFUSED or self.routes.is_closed_to(request):
            assert self._snapshot.changed_tables() <= WRITTEN_BY_DENIALS
        assert request.person == SYSADMIN or not self._snapshot.is_query_changed(HIGHER_ROLES)
        assert self._snapshot.broken_references() == []
        with self._app.app_context():
            assert verify_chain().is_valid
            db.session.remove()


@pytest.mark.timeout(120 + REQUESTS)
def test_random_requests_neither_fail_nor_do_what_their_sender_may_not(
    filled_portal: Flask, requester: Requester, snapshot: DatabaseSnapshot
) -> None:
    portal = FuzzedPortal(filled_portal, requester, snapshot)
    to_pages = page_requests(filled_portal, portal.routes)
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]

    @settings(max_examples=REQUESTS, derandomize=True, database=None, deadline=None, suppress_health_check=checks)
    @given(st.one_of(to_pages, to_pages, to_pages, to_pages, webhook_requests()))
    def send(request: FuzzedRequest) -> None:
        portal.check(request)

    send()


@pytest.mark.parametrize("address", ["http://[", "//[", "\xff"])
def test_address_that_cannot_be_read_counts_as_none(requester: Requester, address: str) -> None:
    response = requester.send("", "POST", "/MyAccount/TimeZone", headers={"Referer": address})
    assert response.location == "/SignIn?next=/"
    assert requester.send(OWNER, "GET", "/metrics", headers={"Host": address}).status_code == 400

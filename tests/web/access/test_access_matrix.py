"""Everybody gets what docs/access-matrix.md says, at every route."""

from flask import Flask

from tests.support.databases.database_snapshot import DatabaseSnapshot
from tests.support.pages.access_matrix import PEOPLE, Requester, matrix_rows, outcome_of, routes
from tests.support.pages.filled_portal import SYSADMIN

WRITTEN_BY_DENIALS = {"audit_entry", "log_head", "log_mac", "rejected_webhook"}
ROLES = "SELECT external_id, role FROM account ORDER BY id"
HIGHER_ROLE = {"role": "sysadmin", "roles": "sysadmin", "is_admin": "1", "active": "1", "id": "6"}
"""Fields that no form of these pages has, or that the role of the sender does not allow."""


def wrong_cells(requester: Requester, snapshot: DatabaseSnapshot, is_denied: bool) -> list[str]:
    """The cells of the matrix that are denied, or those that are not, with what the person got instead."""
    wrong = []
    for row in matrix_rows():
        for person, expected in zip(PEOPLE, row.expected, strict=True):
            if (expected != "allowed") == is_denied:
                fields = {} if person == SYSADMIN else HIGHER_ROLE
                outcome = outcome_of(requester.ask(row, person, **fields))
                wrong += [] if outcome == expected else [f"{row}, {person or 'nobody'}: {outcome}"]
                wrong += [f"{row}, {person}: changes a role"] if snapshot.is_query_changed(ROLES) else []
                if not is_denied:
                    snapshot.restore()
    return wrong


def test_every_route_has_one_row_in_the_matrix(filled_portal: Flask) -> None:
    listed = [(row.method, row.rule) for row in matrix_rows() if not row.is_of_sysadmin]
    assert sorted(listed) == sorted(set(routes(filled_portal)))


def test_account_in_an_address_has_a_row_for_that_of_a_sysadmin(filled_portal: Flask) -> None:
    listed = {(row.method, row.rule) for row in matrix_rows() if row.is_of_sysadmin}
    assert listed >= {route for route in routes(filled_portal) if "<id:account_id>" in route[1]}


def test_denied_requests_get_the_answer_of_the_matrix_and_change_nothing(
    requester: Requester, snapshot: DatabaseSnapshot
) -> None:
    assert wrong_cells(requester, snapshot, is_denied=True) == []
    assert snapshot.changed_tables() <= WRITTEN_BY_DENIALS


def test_allowed_requests_get_an_answer_and_give_nobody_a_role(
    requester: Requester, snapshot: DatabaseSnapshot
) -> None:
    assert wrong_cells(requester, snapshot, is_denied=False) == []

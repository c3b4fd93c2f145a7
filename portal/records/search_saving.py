"""Save a search under a name, and forget it again."""

from sqlalchemy.exc import IntegrityError

from portal.core.errors import InvalidInput
from portal.core.rules import text_input
from portal.core.rules.case_folding import fold_case
from portal.core.transaction import transaction
from portal.core.translation import gettext as _
from portal.records.rules.search_line import InvalidSearch, Viewer, parse_search_line, without_language
from portal.records.tables.saved_searches import SavedSearch, find_saved_search, saved_searches_of

MAX_NAME_LENGTH = 60
_MAX_SEARCHES = 50


def save_search(account_id: int, name: str, line: str, viewer: Viewer) -> None:
    """Raises `InvalidInput` for `name` or `line`."""
    name, line = text_input.clean_line(name), text_input.clean_line(line)
    errors = {"name": _name_problem(name, account_id), "line": _line_problem(line, viewer)}
    if problems := {field: problem for field, problem in errors.items() if problem}:
        raise InvalidInput(problems)
    columns = {"account_id": account_id, "name": name, "name_folded": fold_case(name), "line": without_language(line)}
    try:
        with transaction() as session:
            session.add(SavedSearch(**columns, created_at_ms=viewer.now_ms))
            session.flush()
    except IntegrityError as error:
        message = _("Another of your searches is already called “%(name)s”. Choose a different name.", name=name)
        raise InvalidInput({"name": message}) from error


def delete_saved_search(search_id: int, account_id: int) -> bool:
    """False if this account has no such search."""
    with transaction() as session:
        search = find_saved_search(search_id, account_id)
        if search is not None:
            session.delete(search)
        return search is not None


def _name_problem(name: str, account_id: int) -> str | None:
    if not name:
        return _("Enter a name.")
    if len(name) > MAX_NAME_LENGTH:
        return _("The name can have at most %(limit)s characters.", limit=MAX_NAME_LENGTH)
    if len(saved_searches_of(account_id)) >= _MAX_SEARCHES:
        return _("You can save at most %(limit)s searches. Delete one first.", limit=_MAX_SEARCHES)
    return None


def _line_problem(line: str, viewer: Viewer) -> str | None:
    if not line:
        return _("Search for something first, then save the search.")
    try:
        parse_search_line(line, viewer)
    except InvalidSearch as problem:
        return str(problem)
    return None

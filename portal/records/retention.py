"""Keep records no longer than the settings say: preview a change, and delete in the night, bit by bit (ADR 46)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from portal.core.errors import InvalidInput
from portal.core.extensions import db
from portal.core.rules.setting_error import SettingError
from portal.core.transaction import transaction
from portal.records.rules.retention_kinds import RetentionKind, cutoff_ms, is_due
from portal.records.tables import expired_records
from portal.records.tables.expired_records import RetentionProgress
from portal.settings import setting_changes
from portal.settings.app_settings import configuration, current_retention_days
from portal.settings.setting_changes import SettingUpdate

JOB = "delete_expired"
_BATCH_SIZE = 500
"""So few rows are deleted within a few hundredths of a second, for which other writers of SQLite wait."""


@dataclass(frozen=True)
class KeptRecords:
    """`days` is None for what is kept for good. `oldest_ms` is when the oldest that has not expired was created."""

    kind: RetentionKind
    days: int | None
    oldest_ms: int | None
    deleted_count: int
    finished_at_ms: int | None


@dataclass(frozen=True)
class ExpiryPreview:
    """About how many records older than `before_ms` the next run deletes: their ids are counted, not the rows."""

    kind: RetentionKind
    days: int
    before_ms: int
    count: int


def kept_records() -> list[KeptRecords]:
    days, progress = current_retention_days(), expired_records.progress_by_kind()
    return [_kept(kind, days.get(kind), progress.get(kind)) for kind in RetentionKind]


def _kept(kind: RetentionKind, days: int | None, progress: RetentionProgress | None) -> KeptRecords:
    done_through_id = progress.done_through_id if progress else 0
    deleted, finished_ms = (progress.deleted_count, progress.finished_at_ms) if progress else (0, None)
    return KeptRecords(kind, days, expired_records.oldest_ms(kind, done_through_id), deleted, finished_ms)


def parse_days(texts: Mapping[RetentionKind, str]) -> dict[RetentionKind, int | None]:
    """None where the text is empty. Raises `InvalidInput` for each kind with an invalid number."""
    config, errors = configuration(), {}
    days: dict[RetentionKind, int | None] = {}
    for kind, text in texts.items():
        try:
            days[kind] = config.parse(kind.setting, text)
        except SettingError as error:
            errors[kind.value] = error.message
    if errors:
        raise InvalidInput(errors)
    return days


def preview(days: Mapping[RetentionKind, int | None], now_ms: int) -> list[ExpiryPreview]:
    """What the next run deletes with these days, of each kind that is not kept for good."""
    progress = expired_records.progress_by_kind()
    return [_preview(kind, number, progress.get(kind), now_ms) for kind, number in days.items() if number is not None]


def _preview(kind: RetentionKind, days: int, progress: RetentionProgress | None, now_ms: int) -> ExpiryPreview:
    before_ms = cutoff_ms(days, now_ms)
    done_through_id = max(progress.done_through_id if progress else 0, expired_records.first_id(kind) - 1)
    return ExpiryPreview(kind, days, before_ms, max(0, expired_records.boundary_id(kind, before_ms) - done_through_id))


def save_days(days: Mapping[RetentionKind, int | None], author_id: int, now_ms: int) -> None:
    """Each setting for itself, with its history."""
    current = current_retention_days()
    for kind, number in days.items():
        if current.get(kind) != number:
            update = SettingUpdate(kind.setting, author_id, now_ms, "page")
            setting_changes.change_setting(update, "" if number is None else str(number))


def is_run_due(now_ms: int) -> bool:
    days, progress = current_retention_days(), expired_records.progress_by_kind()
    finished = {kind: progress[kind].finished_at_ms if kind in progress else None for kind in days}
    db.session.rollback()
    return any(is_due(finished_ms, now_ms) for finished_ms in finished.values())


def delete_expired(
    clock: Callable[[], int], should_stop: Callable[[], bool] = lambda: False, seconds: float = 20.0
) -> None:
    """For about `seconds`, so that other work in the queue does not wait longer; the next job continues."""
    ends_ms = clock() + round(seconds * 1000)
    for kind in RetentionKind:
        while _delete_some(kind, clock()):
            if should_stop() or clock() >= ends_ms:
                return


def _delete_some(kind: RetentionKind, now_ms: int) -> bool:
    """Returns whether there may be more of this kind today. The setting is read anew, so that a change has effect."""
    days, progress = current_retention_days().get(kind), expired_records.progress_by_kind().get(kind)
    if days is None or not is_due(progress.finished_at_ms if progress else None, now_ms):
        db.session.rollback()
        return False
    before_ms = cutoff_ms(days, now_ms)
    cursor_id = progress.cursor_id if progress else 0
    ids = expired_records.ids_after(kind, cursor_id, expired_records.boundary_id(kind, before_ms), _BATCH_SIZE)
    with transaction() as session:
        row = session.get(RetentionProgress, kind.value, with_for_update=True)
        if row is None:
            row = RetentionProgress(kind=kind.value, done_through_id=0, cursor_id=0, deleted_count=0)
            session.add(row)
        if row.cursor_id != cursor_id:
            return True  # another worker was here
        if ids:
            count, skipped_id = expired_records.expire(kind, ids, before_ms, now_ms)
            row.cursor_id, row.deleted_count = ids[-1], row.deleted_count + count
            row.skipped_id = row.skipped_id or skipped_id
            return True
        row.done_through_id = row.skipped_id - 1 if row.skipped_id else row.cursor_id
        row.cursor_id, row.skipped_id, row.finished_at_ms = row.done_through_id, None, now_ms
        return False

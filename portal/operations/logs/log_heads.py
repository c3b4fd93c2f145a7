"""Note the ends of the logs outside the database, once a day, so that nothing can be cut off unseen (ADR 63)."""

import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from portal.core.context import settings
from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.core.log_integrity import log_macs
from portal.core.log_integrity.verification import LogVerdict
from portal.core.rules.time_format import format_utc
from portal.core.translation import gettext as _
from portal.operations.logs.log_verification import verify_and_store
from portal.operations.tables.log_verifications import last_verifications
from portal.settings.signing import earlier_signing_keys, signing_key

_DAY_MS = 86_400_000
_RUN_AT_MS = 4 * 3_600_000 + 600_000
"""The time of the day, in UTC."""
Heads = Mapping[str, tuple[int, str]]
"""By log: how many rows it had, and the MAC of the last."""
_log = structlog.get_logger(__name__)


def check_logs_daily(clock: Callable[[], int]) -> None:
    """Verify the logs against the end that was noted last, then note the end of today."""
    now_ms = clock()
    if _is_done(now_ms) or any(verdict.fault for verdict in verify_against_noted(now_ms)):
        return
    if _is_folder_writable():
        path = _file_of(now_ms)
        path.write_text(current_heads(now_ms))
        _log.info("ends of the logs noted", file=path.name)
    else:
        _log.error("ends of the logs cannot be noted", folder=str(_folder()))


def _is_done(now_ms: int) -> bool:
    """Somebody may have verified them before the scheduler did, and that notes nothing."""
    due_ms = (now_ms - _RUN_AT_MS) // _DAY_MS * _DAY_MS + _RUN_AT_MS
    found = [(row.at_ms, bool(row.reason)) for row in last_verifications().values()]
    db.session.rollback()
    if not found or min(at_ms for at_ms, _has_fault in found) < due_ms:
        return False
    is_noted = any(_file_of(at_ms).exists() for at_ms in (due_ms, now_ms))
    return is_noted or any(has_fault for _at_ms, has_fault in found) or not _is_folder_writable()


def verify_against_noted(now_ms: int) -> list[LogVerdict]:
    """What a person starts finds what the daily check finds, so that it clears no alert."""
    return verify_and_store(now_ms, _last_noted(now_ms))


def current_heads(now_ms: int) -> str:
    """A signed file of two or three hundred characters, for safe keeping elsewhere."""
    heads = {head.log: {"rows": head.position, "mac": head.mac} for head in log_macs.stored_heads()}
    db.session.rollback()
    key = signing_key(now_ms)
    about = {
        "portal": settings().public_url,
        "written_at": format_utc(now_ms),
        "logs": heads,
        "public_key": key.public_bytes.hex(),
    }
    return json.dumps({**about, "signature": key.private.sign(_signed(about)).hex()}, indent=1) + "\n"


def read_heads(content: bytes) -> Heads:
    """Raises `ActionRefused` if the file is not one of this portal, or was changed."""
    try:
        about: dict[str, Any] = json.loads(content)
        signature = bytes.fromhex(about.pop("signature"))
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(about["public_key"])).verify(signature, _signed(about))
        return {log: (int(head["rows"]), str(head["mac"])) for log, head in about["logs"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ActionRefused(_("This is no file with the ends of the logs.")) from error
    except InvalidSignature as error:
        raise ActionRefused(_("The file with the ends of the logs was changed: its signature does not fit.")) from error


def is_own_key(content: bytes, now_ms: int) -> bool:
    """Whether the file is signed with a key of the portal, which may have been replaced since."""
    own = [signing_key(now_ms).public_bytes, *(key.public_bytes for key in earlier_signing_keys())]
    return json.loads(content)["public_key"] in {public.hex() for public in own}


def _last_noted(now_ms: int) -> Heads:
    """Of the newest file that can be read. A file that somebody changed does not count, nor one of another portal."""
    for path in sorted(_folder().glob("*.json"), reverse=True):
        with suppress(OSError, ActionRefused):
            content = path.read_bytes()
            heads = read_heads(content)
            if is_own_key(content, now_ms):
                return heads
        _log.warning("noted end of the logs is unreadable", file=path.name)
    return {}


def _file_of(at_ms: int) -> Path:
    return _folder() / f"{format_utc(at_ms)[:10]}.json"


def _folder() -> Path:
    """Best on another machine: whoever can change the database should not reach it."""
    return Path(settings().log_heads_folder or settings().instance / "log-heads")


def _is_folder_writable() -> bool:
    with suppress(OSError):
        _folder().mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.access(_folder(), os.W_OK)
    return False


def _signed(about: Mapping[str, Any]) -> bytes:
    return json.dumps(about, sort_keys=True, separators=(",", ":")).encode()

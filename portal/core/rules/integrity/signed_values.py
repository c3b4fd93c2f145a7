"""Values that only the portal can have signed: HMAC-SHA-256 by the newest key, and the older ones verify too."""

import hashlib
from collections.abc import Sequence

from itsdangerous import URLSafeTimedSerializer


def timed_serializer(keys: Sequence[str], salt: str) -> URLSafeTimedSerializer:
    """`keys` are newest first, `salt` is the purpose: a value that is signed for another one is refused."""
    return URLSafeTimedSerializer(keys[::-1], salt=salt, signer_kwargs={"digest_method": hashlib.sha256})

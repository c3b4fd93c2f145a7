"""The smallest files that are images of a given size, as far as their first bytes say."""

import struct


def png(width: int = 240, height: int = 80, padding: int = 0) -> bytes:
    header = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4s2I5B", 13, b"IHDR", width, height, 8, 6, 0, 0, 0)
    return header + bytes(padding)


def jpeg(width: int, height: int) -> bytes:
    """With a segment of metadata, and fill bytes, before the one that holds the size."""
    metadata = b"\xff\xe1" + struct.pack(">H", 10) + b"Exif\0\0\0\0"
    return b"\xff\xd8" + metadata + b"\xff\xff\xc2" + struct.pack(">HB2H", 17, 8, height, width) + bytes(10)


def webp(kind: str, width: int, height: int) -> bytes:
    """`kind` is lossy, lossless or extended."""
    if kind == "lossy":
        body = b"VP8 \0\0\0\0\0\0\0\x9d\x01\x2a" + struct.pack("<2H", width, height)
    elif kind == "lossless":
        body = b"VP8L\0\0\0\0\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14)
    else:
        body = b"VP8X\0\0\0\0\0\0\0\0" + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF\0\0\0\0WEBP" + body

import pytest

from portal.settings.rules.logo_image import LogoError, fit_size, read_logo
from tests.support.logo_images import jpeg, png, webp


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (png(640, 120), "image/png"),
        (jpeg(640, 120), "image/jpeg"),
        (webp("lossy", 640, 120), "image/webp"),
        (webp("lossless", 640, 120), "image/webp"),
        (webp("extended", 640, 120), "image/webp"),
    ],
)
def test_type_and_size_come_from_the_bytes(content: bytes, media_type: str) -> None:
    logo = read_logo(content)
    assert (logo.media_type, logo.width, logo.height) == (media_type, 640, 120)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "Choose a file"),
        (b'<?xml version="1.0"?><!-- x --><SVG xmlns="http://www.w3.org/2000/svg"/>', "may contain scripts"),
        (b"GIF89a" + bytes(40), "not a PNG, JPEG or WebP"),
        (b"<html>logo.png</html>", "not a PNG, JPEG or WebP"),
        (png()[:20], "damaged"),
        (png(0, 80), "damaged"),
        (jpeg(10, 10)[:16], "damaged"),
        (b"\xff\xd8\xff\xe1\x00\x04ab\x00\x00\x00\x00", "damaged"),
        (b"RIFF\0\0\0\0WEBPVP8?" + bytes(20), "damaged"),
        (webp("extended", 10, 10)[:-2], "damaged"),
        (png(1201, 80), "1,201 × 80 pixels, and each side may have at most 1,200"),
        (jpeg(80, 5000), "80 × 5,000 pixels"),
        (png(padding=200 * 1024), "larger than 200 KB"),
    ],
)
def test_refused_file_is_told_why(content: bytes, reason: str) -> None:
    with pytest.raises(LogoError, match=reason):
        read_logo(content)


def test_largest_image_is_accepted() -> None:
    assert read_logo(png(1200, 1200)).description == "PNG, 1,200 × 1,200 pixels, 29 bytes"


@pytest.mark.parametrize(
    ("size", "fitted"), [((480, 120), (224, 56)), ((1200, 20), (240, 4)), ((100, 40), (100, 40)), ((1200, 1), (240, 1))]
)
def test_fitted_image_keeps_its_shape(size: tuple[int, int], fitted: tuple[int, int]) -> None:
    assert fit_size(*size, 240, 56) == fitted

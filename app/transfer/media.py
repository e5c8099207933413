"""What kind of picture or video some bytes are, told by the bytes alone.

Knows: how the files begin that the app takes, and what a file of that kind is called.
Does not know: names of files, who says what they are.

Sources: the PNG, GIF, WebP, TIFF and BMP specifications; ISO 14496-12 for the brands of `ftyp`; RFC 8794 for
EBML. SVG is left out on purpose: it is a program more than a picture.
"""

from __future__ import annotations

HEAD = 4096  # bytes that are enough to tell

EXTENSIONS = {
    "image/png": "png", "image/jpeg": "jpg", "image/gif": "gif", "image/webp": "webp", "image/bmp": "bmp",
    "image/tiff": "tif", "image/heic": "heic", "image/heif": "heif", "image/avif": "avif",
    "video/mp4": "mp4", "video/quicktime": "mov", "video/webm": "webm", "video/x-matroska": "mkv",
    "video/x-msvideo": "avi", "video/x-m4v": "m4v", "video/mpeg": "mpg",
}  # fmt: skip
_BEGINNINGS = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
    b"II*\x00": "image/tiff",
    b"MM\x00*": "image/tiff",
    b"\x00\x00\x01\xba": "video/mpeg",
    b"\x00\x00\x01\xb3": "video/mpeg",
}
_RIFF = {b"WEBP": "image/webp", b"AVI ": "video/x-msvideo"}
_BRANDS = {
    b"heic": "image/heic", b"heix": "image/heic", b"hevc": "image/heic", b"mif1": "image/heif",
    b"msf1": "image/heif", b"avif": "image/avif", b"avis": "image/avif", b"qt  ": "video/quicktime",
    b"M4V ": "video/x-m4v", b"M4VH": "video/x-m4v",
}  # fmt: skip
_SOUND = (b"M4A ", b"M4B ", b"M4P ", b"F4A ")  # the same container, nothing to see in it


def media_type(head: bytes) -> str | None:
    """The type of a picture or video that begins so; None where it is neither."""
    for beginning, kind in _BEGINNINGS.items():
        if head.startswith(beginning):
            return kind
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12])
    if head[4:8] == b"ftyp":
        brand = head[8:12]
        return None if brand in _SOUND else _BRANDS.get(brand, "video/mp4")
    if head.startswith(b"\x1aE\xdf\xa3"):
        return "video/webm" if b"webm" in head[:64] else "video/x-matroska"
    if head[:2] == b"BM" and len(head) >= 26 and head[14:18] in (b"\x28\0\0\0", b"\x6c\0\0\0", b"\x7c\0\0\0"):
        return "image/bmp"  # two letters alone are too little: so begin words, too
    return None


def extension(kind: str | None) -> str:
    """What the name of a file of that type ends with, without the dot."""
    return EXTENSIONS.get(kind or "", "bin")

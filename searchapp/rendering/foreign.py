"""Names for common files that are not accepted, so that a refusal can say what the file is.

Knows nothing of accepted formats; it is asked only when none of them fits.
"""

import re

_PACKAGES = {
    "wordprocessingml": "a Word document",
    "ms-word": "a Word document",
    "spreadsheetml": "an Excel workbook",
    "ms-excel": "an Excel workbook",
    "presentationml": "a PowerPoint template",
    "ms-powerpoint": "a PowerPoint template or add-in",
    "ms-visio": "a Visio drawing",
    "opendocument.text": "an OpenDocument text",
    "opendocument.spreadsheet": "an OpenDocument spreadsheet",
    "opendocument.graphics": "an OpenDocument drawing",
    "epub": "an EPUB book",
    "keynote": "a Keynote or other Apple iWork file",
}
_OLE_STREAMS = {
    "WordDocument": "a Word 97-2003 document",
    "Workbook": "an Excel 97-2003 workbook",
    "Book": "an Excel 97-2003 workbook",
    "VisioDocument": "a Visio drawing",
    "__properties_version1.0": "an Outlook message",
}
_SIGNATURES = (
    (rb"8BPS", "a Photoshop file"),
    (rb"\0\0[\x01\x02]\0[^\0]", "a Windows icon"),
    (rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51", "a JPEG 2000 image"),
    (rb"\0\0\0\x0cJXL |\xff\x0a", "a JPEG XL image"),
    (rb"\xc5\xd0\xd3\xc6|%!PS", "a PostScript file"),
    (rb"\xd7\xcd\xc6\x9a|\x01\0\0\0.{36} EMF", "a Windows metafile"),
    (rb"AT&TFORM", "a DjVu document"),
    (rb"\{\\rtf", "an RTF document"),
    (rb".{4}ftyp|\x1a\x45\xdf\xa3|RIFF.{4}AVI ", "a video"),
    (rb"ID3|\xff[\xe2\xe3\xf2\xf3\xfa\xfb]|OggS|fLaC|RIFF.{4}WAVE", "a sound file"),
    (rb"\x1f\x8b|BZh|\xfd7zXZ\0|7z\xbc\xaf\x27\x1c|Rar!\x1a|\x28\xb5\x2f\xfd", "a packed archive"),
    (rb"MZ|\x7fELF|\xca\xfe\xba\xbe", "a program"),
    (
        rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml.*?)?(?:<!--.*?-->\s*|<!DOCTYPE svg.*?)*<svg",
        "an SVG drawing",
    ),
    (rb"(?i:(?:\xef\xbb\xbf)?\s*<(?:!doctype html|html|head|body))", "a web page"),
    (rb"(?:\xef\xbb\xbf)?\s*<\?xml", "an XML file"),
)
_COMPILED = tuple((re.compile(pattern, re.DOTALL), name) for pattern, name in _SIGNATURES)
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


def name_of_bytes(head: bytes) -> str:
    """What the first bytes look like, with its article; "" when nothing is known of them."""
    for pattern, name in _COMPILED:
        if pattern.match(head):
            return name
    return "" if _BINARY.search(head) else "plain text"


def name_of_package(content_type: str) -> str:
    """What a zip package is, by the content type of its main part or its mimetype."""
    lowered = content_type.lower()
    return next((name for part, name in _PACKAGES.items() if part in lowered), "a zip archive")


def name_of_ole(streams: frozenset[str]) -> str:
    """What an OLE2 container is, by its top-level streams."""
    known = (name for stream, name in _OLE_STREAMS.items() if stream in streams)
    return next(known, "an OLE2 container of another program")

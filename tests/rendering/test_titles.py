"""Titles that programs made up are no titles."""

import pytest

from searchapp.rendering.titles import MAX_TITLE_CHARS, clean_title


@pytest.mark.parametrize(
    ("raw", "title"),
    [
        ("  Annual\x00 report\n2024 ", "Annual report 2024"),
        ("Microsoft PowerPoint - pumps.pptx", "pumps.pptx"),
        ("PowerPoint Presentation", ""),
        ("\ud800x", "x"),
        ("x" * 900, "x" * MAX_TITLE_CHARS),
    ],
)
def test_clean_title(raw: str, title: str) -> None:
    assert clean_title(raw) == title

"""What our HTML pages look like: one style sheet, written into each page, so that a page is one file."""

from pathlib import Path

STYLE = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")

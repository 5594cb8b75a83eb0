"""The colours of the design system, without a browser: each pair that pages use stands out enough in both themes."""

from __future__ import annotations

import re

import pytest

from holdfast.web.templates import STATIC

_TOKEN = re.compile(r"--([\w-]+):\s*light-dark\(\s*(#[0-9a-f]{6}),\s*(#[0-9a-f]{6})\s*\)")
TOKENS = {
    name: (light, dark) for name, light, dark in _TOKEN.findall((STATIC / "css/tokens.css").read_text())
}

TEXT_PAIRS = [
    *((ink, ground) for ink in ("text", "muted", "faint", "accent") for ground in ("canvas", "surface", "sunken", "hover")),
    *((kind, ground) for kind in ("ok", "attention", "harm") for ground in (f"{kind}-soft", "surface", "canvas")),
    ("accent", "accent-soft"), ("on-accent", "accent-fill"), ("on-accent", "accent-fill-hover"),
]  # fmt: skip
GRAPHIC_PAIRS = [
    *((f"series-{n}", "surface") for n in range(1, 7)), ("reference", "surface"), ("control-line", "surface"),
    ("accent", "canvas"),
]  # fmt: skip


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2.2 defines it."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("ink", "ground"), TEXT_PAIRS)
def test_text_has_contrast(ink: str, ground: str, theme: int) -> None:
    assert contrast(TOKENS[ink][theme], TOKENS[ground][theme]) >= 4.5


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("ink", "ground"), GRAPHIC_PAIRS)
def test_lines_have_contrast(ink: str, ground: str, theme: int) -> None:
    assert contrast(TOKENS[ink][theme], TOKENS[ground][theme]) >= 3.0


def test_nothing_in_templates_breaks_the_content_security_policy() -> None:
    rooms = STATIC.parents[1]
    templates = list(rooms.glob("**/templates/**/*.html"))
    assert len(templates) > 15
    for path in templates:
        text = path.read_text()
        assert "style=" not in text, path
        assert not re.search(r"\son\w+=", text), path
        assert not re.search(r"<script(?![^>]*(src=|application/json))", text), path
        assert "javascript:" not in text, path

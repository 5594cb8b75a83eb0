from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.browser.conftest import PAGES, Watched, addresses
from tests.browser.life import Life

pytestmark = pytest.mark.browser

Open = Callable[..., Watched]

AUDIT = r"""() => {
  const problems = [];
  const named = (node) => (node.getAttribute("aria-label") || node.innerText || node.title || "").trim() !== ""
    || node.getAttribute("aria-labelledby") !== null;
  const tell = (what, node) => problems.push(`${what}: ${node.outerHTML.slice(0, 120)}`);
  for (const node of document.querySelectorAll("a, button, summary")) {
    if (node.checkVisibility() && !named(node)) tell("no name", node);
  }
  for (const node of document.querySelectorAll("input:not([type=hidden]), select")) {
    if (!node.labels.length && !node.getAttribute("aria-label")) tell("no label", node);
  }
  const pictures = document.querySelectorAll("img:not([alt]), svg:not([aria-hidden]):not([role=img])");
  for (const node of pictures) tell("no alternative", node);
  for (const node of document.querySelectorAll("[role=img], [role=region], dialog, nav")) {
    if (!named(node) && node.tagName !== "DIALOG") tell("no name", node);
  }
  const ids = [...document.querySelectorAll("[id]")].map((node) => node.id);
  for (const id of new Set(ids)) if (ids.filter((one) => one === id).length > 1) problems.push(`id twice: ${id}`);
  for (const node of document.querySelectorAll("[aria-labelledby], [aria-describedby]")) {
    for (const name of ["aria-labelledby", "aria-describedby"]) {
      const ids = (node.getAttribute(name) || "").split(" ").filter(Boolean);
      if (ids.some((id) => !document.getElementById(id))) tell(`${name} leads nowhere`, node);
    }
  }
  let level = 0;
  for (const node of document.querySelectorAll("main h1, main h2, main h3, main h4")) {
    const next = Number(node.tagName[1]);
    if (next > level + 1) tell("heading level skipped", node);
    level = next;
  }
  for (const table of document.querySelectorAll("table")) {
    if (!table.querySelector("th")) tell("table without headers", table);
  }
  for (const node of document.querySelectorAll(".scroll, pre")) {
    const scrolls = node.scrollWidth > node.clientWidth + 1 && node.checkVisibility();
    if (scrolls && node.tabIndex < 0) tell("scrolls without a tab stop", node);
  }
  for (const node of document.querySelectorAll("[tabindex]")) if (node.tabIndex > 0) tell("positive tabindex", node);
  for (const landmark of ["main", "nav", "header"]) if (!document.querySelector(landmark)) problems.push(`no ${landmark}`);
  if (document.documentElement.lang !== "en") problems.push("no language");
  return problems;
}"""

CONTRAST = r"""() => {
  const parse = (text) => (text.match(/[\d.]+/g) || []).map(Number);
  const channel = (value) => { const c = value / 255; return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const over = ([r, g, b, a = 1], below) => [r, g, b].map((c, i) => c * a + below[i] * (1 - a));
  const ground = (node) => {
    const layers = [];
    for (let at = node; at; at = at.parentElement) layers.push(parse(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255]);
  };
  const found = new Map();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    const text = walker.currentNode.textContent.trim();
    if (!text || !node.checkVisibility() || node.closest("svg, .unseen, .skip, script, canvas")) continue;
    const style = getComputedStyle(node);
    const back = ground(node);
    const [one, other] = [light(over(parse(style.color), back)), light(back)].sort((a, b) => b - a);
    const ratio = (one + 0.05) / (other + 0.05);
    if (ratio < 4.5) found.set(node.className || node.tagName, `${ratio.toFixed(2)} ${text.slice(0, 40)}`);
  }
  return [...found].map(([name, told]) => `${name}: ${told}`);
}"""


@pytest.mark.parametrize("name", PAGES)
def test_names_labels_headings_and_landmarks(site: Life, visitor: Watched, name: str) -> None:
    assert visitor.visit(site.url + addresses(site)[name]).evaluate(AUDIT) == []


@pytest.mark.parametrize("name", PAGES)
def test_text_stands_out_from_its_ground_in_both_themes(site: Life, visitor: Watched, name: str) -> None:
    page = visitor.visit(site.url + addresses(site)[name])
    assert page.evaluate(CONTRAST) == []
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(CONTRAST) == []


def test_motion_stops_where_it_is_not_wanted(empty_site: str, open_page: Open) -> None:
    page = open_page(empty_site, reduced_motion="reduce").page
    name = "getComputedStyle(document.querySelector('.waiting'), '::before').animationName"
    assert page.evaluate(name) == "none"

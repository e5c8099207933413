"""How the window is looked at: light and dark, on a desk and on a phone; and what must hold in each.

Knows: sizes, themes, how a page is measured for words that cannot be read and buttons that cannot be hit.
Does not know: what the window does.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

LOOKS: dict[str, dict[str, Any]] = {
    f"{theme}-{name}": {"color_scheme": theme, "viewport": size, "has_touch": name == "phone"}
    for theme in ("light", "dark")
    for name, size in (("desk", {"width": 1440, "height": 900}), ("phone", {"width": 390, "height": 844}))
}
READABLE = 4.5  # contrast of small words, by WCAG 2.2
FINGER = 40  # pixels of a side that a finger hits

# Words whose colour is too close to what is behind them: [contrast, words, class]; layers count.
FAINT = """(least) => {
  const pen = Object.assign(document.createElement('canvas'), { width: 1, height: 1 })
    .getContext('2d', { willReadFrequently: true });
  const parse = (colour) => { pen.clearRect(0, 0, 1, 1); pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = pen.getImageData(0, 0, 1, 1).data; return [r, g, b, a / 255]; };
  const over = (top, under) => top.slice(0, 3).map((c, n) => c * top[3] + under[n] * (1 - top[3]));
  const light = (c) => { const [r, g, b] = c.map((v) => { v /= 255;
    return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const behind = (node) => { const stack = [];
    for (let at = node; at; at = at.parentElement) stack.push(parse(getComputedStyle(at).backgroundColor));
    return stack.reverse().reduce((under, top) => over(top, under), [255, 255, 255]); };
  const found = [], walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const words = walk.currentNode.textContent.trim(), node = walk.currentNode.parentElement;
    if (!words || node.closest('svg, script, style, .katex-mathml, [disabled], option, .sr-only')) continue;
    if (!node.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
    const box = node.getBoundingClientRect();
    if (box.width < 2 || box.height < 2 || box.bottom < 0 || box.top > innerHeight) continue;
    const under = behind(node), ink = over(parse(getComputedStyle(node).color), under);
    const [a, b] = [light(ink), light(under)].sort((x, y) => y - x), contrast = (a + 0.05) / (b + 0.05);
    if (contrast < least) found.push([Math.round(contrast * 100) / 100, words.slice(0, 60), node.className]);
  }
  return found; }"""

# Buttons and fields that a finger misses: [width, height, name, class].
SMALL = """(least) => [...document.querySelectorAll('button, input, select, summary')]
  .filter((node) => node.type !== 'file' && !node.disabled)
  .filter((node) => node.checkVisibility({ opacityProperty: true, visibilityProperty: true }))
  .map((node) => ({ node, box: (node.closest('label') || node).getBoundingClientRect() }))
  .filter(({ box }) => box.width > 1 && box.height > 1 && box.bottom > 0 && box.top < innerHeight)
  .filter(({ box }) => box.right > 0 && box.left < innerWidth)
  .filter(({ box }) => Math.min(box.width, box.height) < least)
  .map(({ node, box }) => [Math.round(box.width), Math.round(box.height),
    node.getAttribute('aria-label') || node.textContent.trim().slice(0, 40), node.className])"""


def sound(page: Page, name: str) -> None:
    """Nothing overflows, all words can be read, on a phone all buttons can be hit. name: of the state."""
    page.wait_for_timeout(300)  # what fades has faded
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png")
    size = page.viewport_size
    assert size is not None
    assert page.evaluate("document.documentElement.scrollWidth") == size["width"]
    faint = page.evaluate(FAINT, READABLE)
    assert faint == [], faint
    if size["width"] < 500:
        small = page.evaluate(SMALL, FINGER)
        assert small == [], small

"""The window in Chinese in a real Chromium: nothing of ours is English, nothing of a person's touched."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from asking import ROOT
from playwright.sync_api import Locator, Page, expect
from sentences import produced

from app.blobs import Blobs
from app.store import Part, Store

pytestmark = [pytest.mark.browser, pytest.mark.slow]
Open = Callable[..., Page]
SOON = 30_000
EXAMPLES = ROOT / "assets" / "examples"

# What may stand in Latin letters in a Chinese window: names, formats, units.
LATIN = (
    *("GLM Chat", "GLM-4.5V", "ChatGPT", "Claude", "Markdown", "JSON", "Top-p", "FOLDER", "GB", "MB", "kB"),
    *("Ctrl", "Shift", "GiB", "MLX", "Metal", "Python", "-bit", "bf16", "mxfp4", "nvfp4", "mxfp8"),
)
# What these tests call things, inside sentences of ours.
THEIRS = (
    *("quick look", "ponder", "wait", "watch", "please die", "point", "three shapes.png", "ball.webm"),
    *("notes.zip", "upload", "Settings"),
)
# Every text and label that can be seen and is not marked as somebody's own, with what `pattern` finds in it.
SEEN = """(pattern) => {
  const found = new Set(), wanted = new RegExp(pattern, 'u');
  const names = ['placeholder', 'title', 'aria-label', 'aria-description', 'alt'];
  const theirs = (element, more) => {
    const near = element.closest('[translate], code, pre, script, style' + more);
    return near && near.getAttribute('translate') !== 'yes';
  };
  for (const element of document.querySelectorAll('body, body *')) {
    if (!element.checkVisibility({ visibilityProperty: true }) && element.localName !== 'option') continue;
    if (element.localName === 'option' && !element.parentElement.checkVisibility()) continue;
    const texts = theirs(element, '') ? [] : names.map((name) => element.getAttribute(name) || '');
    for (const node of theirs(element, ', textarea') ? [] : element.childNodes)
      if (node.nodeType === Node.TEXT_NODE) texts.push(node.data);
    for (const text of texts) if (wanted.test(text)) found.add(text.trim());
  }
  return [...found]; }"""
HAN = r"\p{Script=Han}"


def english(page: Page, *more: str) -> list[str]:
    """What is still in English. more: names inside sentences of ours."""
    found = page.evaluate(SEEN, "[A-Za-z]{2}")
    kept = re.compile("|".join(map(re.escape, (*more, *THEIRS, *LATIN))))
    return [text for text in found if re.search("[A-Za-z]{2}", kept.sub("", text))]


def send(page: Page, words: str) -> None:
    page.fill("#box textarea", words)
    page.keyboard.press("Enter")


def answered(page: Page) -> None:
    expect(page.locator("#box .submit-button")).to_be_visible(timeout=SOON)
    expect(page.locator("#latest .bot-row .acts")).to_be_attached(timeout=SOON)


def latest(page: Page) -> Locator:
    return page.locator("#latest")


@pytest.fixture
def page(app: Any, open_page: Open) -> Page:
    page: Page = open_page(app.start(), locale="zh-CN")
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    return page


def test_an_empty_window(page: Page, picture: Path) -> None:
    expect(page.get_by_text("今天看点什么？")).to_be_visible()
    assert english(page) == []
    page.get_by_role("button", name="选取模型").click()
    expect(page.locator(".models .model").first).to_be_visible(timeout=SOON)
    assert english(page, "huggingface.co", "/Volumes/Disk/GLM-4.5V-4bit", "GLM-4.6V", "MIT") == []
    page.keyboard.press("Escape")
    page.locator(".gauge summary").click()
    assert english(page) == []
    page.focus("#box textarea")
    page.keyboard.press("Enter")
    expect(page.locator("#notice")).to_contain_text("还没有可发送的内容", timeout=SOON)
    page.set_input_files("#box input[type=file]", picture)
    expect(page.locator(".chip")).to_be_visible()
    assert english(page) == []


def test_answers_and_how_they_end(page: Page, picture: Path) -> None:
    send(page, "ponder")
    expect(latest(page)).to_contain_text("正在思考…", timeout=SOON)
    assert english(page) == []
    expect(latest(page)).to_contain_text(re.compile(r"思考了 \d"), timeout=SOON)
    answered(page)
    assert english(page) == []
    send(page, "wait")
    expect(page.locator("#waiting")).to_contain_text("正在读取… 3,200 / 9,800 个词元", timeout=SOON)
    assert english(page) == []
    page.click("#box .stop-button")
    expect(latest(page)).to_contain_text("你停止了这个回答。", timeout=SOON)
    answered(page)
    assert english(page) == []
    send(page, "please die")
    expect(latest(page)).to_contain_text("模型进程在回答时停止（信号 9）", timeout=SOON)
    expect(latest(page)).to_contain_text("Half an ans")
    answered(page)
    assert english(page) == []


def test_what_can_be_done_with_an_answer(page: Page, picture: Path) -> None:
    page.set_input_files("#box input[type=file]", picture)
    expect(page.locator(".chip")).to_be_visible()
    send(page, "point")
    answered(page)
    expect(page.get_by_role("button", name="存储图片")).to_be_visible(timeout=SOON)
    page.get_by_role("button", name="隐藏标记").click()
    expect(page.get_by_role("button", name="显示标记")).to_be_visible()
    assert english(page) == []
    page.locator("#latest .act.again").click()
    expect(page.locator("#latest .variants")).to_contain_text("2/2", timeout=SOON)
    page.locator("#latest .user-row").hover()
    page.locator("#latest .act.edit").click()
    expect(page.get_by_text("将重新生成回答，原有回答会保留。")).to_be_visible()
    assert english(page) == []
    for fold in page.locator(".acts button[aria-expanded=false]").all():
        fold.click()
    assert english(page) == []


def test_the_options_and_what_a_message_costs(page: Page, picture: Path) -> None:
    page.set_input_files("#box input[type=file]", [picture, EXAMPLES / "ball.webm"])
    expect(page.locator(".chip")).to_have_count(2)
    expect(page.locator(".chip .told").first).not_to_contain_text("正在计算", timeout=SOON)
    page.fill("#box textarea", "quick look")
    expect(page.locator("#meter p")).to_contain_text("这条消息", timeout=SOON)
    page.locator(".options-button").click()
    expect(page.get_by_text("每秒 2 帧，按模型的设计")).to_be_attached(timeout=SOON)
    assert english(page) == []
    begins = page.get_by_label("从", exact=True)
    begins.fill("later")
    expect(page.locator(".chip .problem")).to_have_text(
        "片段的起点应是 0:05 或 65 这样的时间。", timeout=SOON
    )
    assert english(page) == []
    begins.fill("")
    expect(page.locator(".chip .problem")).to_have_count(0, timeout=SOON)
    page.keyboard.press("Escape")
    send(page, "watch")
    answered(page)
    page.locator("#latest .saw-words").click()
    expect(page.locator("#latest .saw")).to_contain_text("图片和视频：", timeout=SOON)
    expect(page.locator("#latest .moment.drawn").first).to_be_visible(timeout=SOON)
    assert english(page) == []


def test_a_temporary_chat(page: Page) -> None:
    page.click("#temporary-chat")
    expect(page.locator("#temporary")).to_contain_text("临时对话：所有内容都不会保留", timeout=SOON)
    assert english(page) == []
    send(page, "quick look")
    answered(page)
    expect(page.locator("#top h1")).to_have_text("临时对话")
    assert english(page) == []
    page.click("#new-chat")
    expect(page.get_by_text("今天看点什么？")).to_be_visible(timeout=SOON)
    assert english(page) == []


def test_the_list_and_its_menus(page: Page) -> None:
    send(page, "quick look")
    answered(page)
    line = page.locator(".conv")
    line.hover()
    line.locator(".more").click()
    expect(page.get_by_role("menuitem", name="导出为 Markdown")).to_be_visible()
    assert english(page) == []
    page.get_by_role("menuitem", name="新建文件夹…").click()
    assert english(page) == []
    page.locator(".conv .field").fill("Today")  # a folder that is called as a group of ours
    page.keyboard.press("Enter")
    expect(page.locator(".group")).to_have_text("Today")
    page.keyboard.press("ControlOrMeta+k")
    page.keyboard.type("files")
    expect(page.locator(".conv mark")).to_have_text("files")
    expect(page.locator(".group")).to_have_text("搜索结果")
    assert english(page) == []
    page.locator(".find input").fill("zebra")
    expect(page.get_by_text("没有找到结果。")).to_be_visible()
    assert english(page) == []
    page.locator(".find input").press("Escape")
    line.hover()
    line.locator(".more").click()
    assert english(page, "Today") == []
    page.get_by_role("menuitem", name="删除").click()
    expect(page.get_by_text("已删除“quick look”")).to_be_visible()
    page.get_by_role("button", name="废纸篓（1）").click()
    page.locator(".conv .erase").click()
    expect(page.locator(".conv .erase")).to_have_text("彻底删除？")
    assert english(page) == []
    page.get_by_role("button", name="清倒废纸篓").click()
    expect(page.get_by_role("button", name="彻底删除全部 1 个？")).to_be_visible()
    assert english(page) == []


def test_settings_backups_and_imports(app: Any, page: Page, tmp_path: Path) -> None:
    page.keyboard.press("ControlOrMeta+,")
    expect(page.get_by_role("heading", name="设置")).to_be_visible()
    assert english(page) == []
    page.get_by_label("采样", exact=True).select_option("My own")
    expect(page.get_by_text("已保存，从下一个回答起生效。")).to_be_visible()
    assert english(page) == []
    page.get_by_label("提示词名称").fill("Light")
    page.get_by_role("button", name="存储为").click()
    expect(page.get_by_label("已存储的提示词").locator("option").last).to_have_text("Light")
    page.get_by_role("button", name="立即备份").click()
    expect(page.locator(".told")).to_contain_text("已备份为", timeout=SOON)
    made = [file.name for file in (app.home / "backups").iterdir()]
    assert english(page, *made) == []
    (tmp_path / "notes.zip").write_bytes(b"not a zip at all")
    page.set_input_files(".settings input[type=file]", tmp_path / "notes.zip")
    expect(page.locator(".told")).to_contain_text("文件不完整，或不是 JSON。请重新导出。", timeout=SOON)
    assert english(page) == []


def test_the_choice_is_made_at_once_and_stays(page: Page) -> None:
    send(page, "quick look")
    answered(page)
    page.keyboard.press("ControlOrMeta+,")
    page.get_by_label("语言").select_option("English")
    expect(page.get_by_role("heading", name="Settings")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    assert page.evaluate(SEEN, HAN) == []
    page.reload()
    expect(latest(page)).to_contain_text("Thought for", timeout=SOON)
    expect(page.locator("html")).to_have_attribute("lang", "en")
    assert page.evaluate(SEEN, HAN) == []
    page.keyboard.press("ControlOrMeta+,")
    page.get_by_label("Language").select_option("中文")
    expect(page.get_by_role("heading", name="设置")).to_be_visible()
    expect(latest(page)).to_contain_text("思考了")
    assert english(page) == []
    page.get_by_label("语言").select_option("跟随系统")
    expect(page.get_by_role("heading", name="设置")).to_be_visible()


def test_what_people_and_models_write_is_never_touched(app: Any, open_page: Open) -> None:
    store = Store(app.home / "glmchat.db")
    begun = store.begin_turn(None, "Settings", (Part("text", "Delete"),))
    store.finish(begun.answer_id, (Part("text", "Copied\n\nThinking… 3 s"),), "complete", "stop")
    store.set_setting("last_conversation", begun.conversation_id)
    store.close()
    page = open_page(app.start(), locale="zh-CN")
    expect(latest(page).locator(".bot-row .prose p")).to_have_text(["Copied", "Thinking… 3 s"])
    expect(latest(page).locator(".user-row .prose")).to_have_text("Delete")
    expect(page.locator("#top h1")).to_have_text("Settings")
    expect(page.locator(".conv .title")).to_have_text("Settings")
    page.keyboard.press("ControlOrMeta+k")
    page.keyboard.type("Copied")
    expect(page.locator(".conv mark")).to_have_text("Copied")
    assert english(page) == []


def test_sentences_made_of_pieces_are_found(page: Page, store: Store, blobs: Blobs, tmp_path: Path) -> None:
    """What the app puts together is put onto the page, and none of it stays English."""
    texts = list(produced(store, blobs, tmp_path))
    page.evaluate(
        "(texts) => document.body.append(...texts.map((text) => Object.assign(document.createElement('p'), "
        "{ textContent: text })))",
        texts,
    )
    theirs = (str(tmp_path), "export.json", "export.zip", "a.json", "/emptied", "/garbage", "/backups")
    said = ("Segmentation fault", "ImportError: x", "GLM_CHAT_MEMORY_LIMIT", "much", "config.json")
    assert english(page, *theirs, *said, "chat.db", "-damaged.db") == []


def test_no_button_overflows_on_a_phone(app: Any, open_page: Open) -> None:
    page = open_page(app.start(), locale="zh-CN", viewport={"width": 390, "height": 844})
    over = """() => [...document.querySelectorAll('button, label, .hint, h3')]
      .filter((node) => node.checkVisibility() && node.innerText && node.scrollWidth > node.clientWidth + 1)
      .filter((node) => getComputedStyle(node).display !== 'inline').map((node) => node.innerText)"""
    send(page, "quick look")
    answered(page)
    assert page.evaluate(over) == []
    page.click("[data-do=sidebar]")
    expect(page.locator("#side")).to_be_visible()
    assert page.evaluate(over) == []
    page.click("[data-do=settings]", force=True)
    expect(page.get_by_role("heading", name="设置")).to_be_visible()
    assert page.evaluate(over) == []
    assert page.evaluate("document.documentElement.scrollWidth") == 390

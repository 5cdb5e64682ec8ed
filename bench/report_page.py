"""How fast a report opens: 5 arms × 5,000 questions in a real browser.

    python bench/report_page.py [--questions 5000] [--rounds 5] [--page FILE]

Writes a made-up run (as the tests make them) to a file, opens it in headless Chromium with an
empty profile each time, and takes from the browser's own clock, from the start of navigation: the
first paint (headings and table), the list ready to be used, everything read; and then the time
from a key to the next question with its answers and sources on the screen.
"""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from machine import write_result
from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "evals" / "report"))

from made import made_run  # noqa: E402

from steelyard.evals.report import report_json, write_page  # noqa: E402

ARMS = ("base", "+embedder", "+reranker", "+reader", "oracle")
MEASURES = ("nDCG@10", "R@10", "RR@10", "EM", "F1", "cite_recall", "support", "p50_ms", "p95_ms",
            "cost_usd")  # fmt: skip
OPENED = """() => {
  const mark = (name) => performance.getEntriesByName(name)[0]?.startTime ?? null;
  const whole = performance.getEntriesByType("navigation")[0];
  return { first_paint_ms: mark("first-contentful-paint"), list_ms: mark("list"),
           loaded_ms: whole.loadEventEnd };
}"""
NEXT = """async () => {
  const before = document.querySelector("#detail h3")?.textContent;
  const start = performance.now();
  document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "j", bubbles: true }));
  for (;;) {
    await new Promise(requestAnimationFrame);
    const now = document.querySelector("#detail h3")?.textContent;
    if (now && now !== before) return performance.now() - start;
    if (performance.now() - start > 10000) return null;
  }
}"""


def opened(browser: Browser, address: str) -> dict[str, float]:
    """Return the times of one opening, in ms, in a context that has seen nothing before."""
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    page.goto(address)
    page.wait_for_function("performance.getEntriesByName('list').length > 0")
    found = page.evaluate(OPENED)
    steps = []
    for _ in range(20):
        step = page.evaluate(NEXT)
        if step is not None:
            steps.append(step)
    found["next_question_ms"] = statistics.median(steps)
    found["heap_mb"] = page.evaluate("performance.memory.usedJSHeapSize / 2**20")
    page.context.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--page", type=Path, help="keep the page here")
    asked = parser.parse_args()
    made = made_run(asked.questions, arms=ARMS, measures=MEASURES)
    with tempfile.TemporaryDirectory() as folder:
        path = asked.page or Path(folder) / "report.html"
        started = perf_counter()
        size = write_page(path, made.report, made.questions, made.outcomes)
        write_s = perf_counter() - started
        chromium = shutil.which("chromium") or shutil.which("chromium-browser")
        with sync_playwright() as driver:
            arguments = ["--headless", "--no-sandbox", "--disable-gpu"]
            browser = driver.chromium.launch(executable_path=chromium, args=arguments)
            rounds = [opened(browser, path.as_uri()) for _ in range(asked.rounds)]
            browser.close()
    names = list(rounds[0])
    write_result("report_page", {
        "arms": len(ARMS), "questions": asked.questions, "measures": len(MEASURES),
        "write_s": round(write_s, 2), "size_mb": round(size / 2**20, 2),
        "json_mb": round(len(json.dumps(report_json(made.report))) / 2**20, 2),
        "median": {n: round(statistics.median(r[n] for r in rounds), 1) for n in names},
        "worst": {n: round(max(r[n] for r in rounds), 1) for n in names},
    })  # fmt: skip


if __name__ == "__main__":
    main()

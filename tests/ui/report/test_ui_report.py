"""A report's file in a browser: the list, one question, keys, links, what is hostile or missing."""

import pytest
from made import HOSTILE, made_run
from playwright.sync_api import expect

from steelyard.evals.report import write_page

WIDTHS = {"phone": 390, "desktop": 1280}
LONG = "tuned+rag with an unreasonably long name that never ends"
CASES = {
    "three": {},
    "one": {"arms": ("solo",), "measures": ("nDCG@10",), "compared": False},
    "eight": {"arms": ("base", "+embedder", "+reranker", "+reader", LONG, "oracle", "bm25", "b")},
    "equal": {"equal": True},
    "retrieval": {"answers": False, "arms": ("bm25", "hybrid"), "measures": ("nDCG@10", "R@10")},
    "uncompared": {"compared": False},
}  # fmt: skip


@pytest.fixture
def open_report(open_page, tmp_path):
    """Return a function that writes a run's page and opens it: (page, run)."""

    def open_(num=60, *, link="", screen=None, scheme="light", **fields):
        made = made_run(num, **fields)
        path = tmp_path / "report.html"
        write_page(path, made.report, made.questions, made.outcomes)
        viewport = {"width": WIDTHS[screen or "desktop"], "height": 900}
        page, _ = open_page(path.as_uri(), path=link, viewport=viewport, color_scheme=scheme)
        expect(page.locator(".item").first).to_be_visible()
        return page, made

    return open_


def listed(page):
    return page.locator(".item .delta").all_inner_texts()


def test_worst_losses_come_first_and_biggest_wins_when_asked(open_report):
    page, made = open_report()
    values = made.report.values
    deltas = sorted(values["+reranker"]["nDCG@10"] - values["base"]["nDCG@10"])
    assert listed(page)[0] == f"{deltas[0]:+.3f}".replace("-", "−")
    page.get_by_label("Order", exact=True).select_option("win")
    assert listed(page)[0] == f"{deltas[-1]:+.3f}"
    assert page.locator("#count").inner_text().startswith("60 of 60 questions, nDCG@10")


def test_less_is_a_win_where_less_is_better(open_report):
    page, _ = open_report()
    page.get_by_label("Measure", exact=True).select_option(label="p95_ms")
    first = page.locator(".item .delta").first
    assert first.inner_text().startswith("+")
    expect(first).to_have_class("delta loss")


def test_a_question_shows_every_arm_with_marks_gold_and_loose_sentences(open_report):
    page, made = open_report(link="#q=q-00004")
    detail = page.locator("#detail")
    expect(detail.locator("h3")).to_have_text(made.questions.questions[4].text)
    expect(detail.locator("blockquote")).to_contain_text(made.questions.questions[4].spans[0].text)
    expect(detail.locator(".card")).to_have_count(3)
    card = detail.locator(".card").first
    answer = made.outcomes["base"][4].answer
    assert card.locator(".answer").evaluate("node => node.textContent") == answer.text
    assert card.locator(".unsupported").all_inner_texts() == [
        "The moon is made of cheese, and so on."
    ]
    card.locator("button.cite").first.click()
    source = card.locator("details.source[open]")
    expect(source).to_have_attribute("data-n", str(answer.citations[0].n))
    assert source.locator("mark.quoted").inner_text() == answer.citations[0].quote
    gold = detail.locator("details.source:has(.gold-tag)").first
    gold.evaluate("node => { node.open = true; }")
    assert (
        gold.locator("mark.gold-words").first.inner_text()
        == made.questions.questions[4].spans[0].text
    )


def test_markup_from_documents_and_answers_is_only_text(open_report):
    page, _ = open_report(link="#q=q-00001")
    assert HOSTILE in page.locator("#detail h3").inner_text()
    assert HOSTILE in page.locator("#detail .answer").first.inner_text()
    assert page.evaluate("window.hacked") is None
    assert page.locator("img").count() == 0


def test_keys_walk_the_list_and_the_address_follows(open_report):
    page, made = open_report()
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    chosen = page.locator(".item[aria-selected=true]")
    expect(chosen).to_have_attribute("id", "row-1")
    expect(page.locator("#detail h3")).to_contain_text(chosen.locator(".asked").inner_text()[:40])
    identity = page.evaluate("decodeURIComponent(location.hash.slice(3))")
    assert identity in made.report.question_ids
    page.get_by_label("Filter by words or id").press("k")  # here it is a letter
    assert page.evaluate("decodeURIComponent(location.hash.slice(3))") == identity


def test_only_the_rows_in_sight_are_in_the_document_and_the_last_can_be_reached(open_report):
    page, _ = open_report(1200, answers=False)
    assert page.locator(".item").count() < 60
    page.locator("#list").evaluate("node => { node.scrollTop = node.scrollHeight; }")
    expect(page.locator("#row-1199")).to_be_visible()


def test_filters_narrow_the_list(open_report):
    page, made = open_report(300)
    page.get_by_label("Filter by words or id").fill("q-00007")
    expect(page.locator(".item")).to_have_count(1)
    page.get_by_label("Filter by words or id").fill("")
    page.get_by_label("Outcome").select_option("failed")
    failed = {q for arm in ("base", "+reranker") for q in _arm(made, arm).failures}
    expect(page.locator(".item")).to_have_count(len(failed))
    page.get_by_label("Outcome").select_option("")
    page.get_by_label("Type").select_option("table")
    expect(page.locator("#count")).to_contain_text("100 of 300 questions")
    page.get_by_label("Filter by words or id").fill("nothing is like this")
    expect(page.locator("#list")).to_contain_text("No question matches.")


def _arm(made, name):
    return next(arm for arm in made.report.arms if arm.name == name)


def test_a_link_opens_what_a_filter_hides_and_says_what_is_not_there(open_report):
    page, _ = open_report()
    page.get_by_label("Filter by words or id").fill("q-00007")
    page.evaluate("location.hash = '#q=q-00009'")
    expect(page.locator("#detail h3")).to_contain_text("number 9")
    page.evaluate("location.hash = '#q=nobody'")
    expect(page.locator("#detail")).to_contain_text("This report has no question nobody.")


def test_a_failed_arm_says_why(open_report):
    page, made = open_report(300)
    failed = next(iter(_arm(made, "base").failures))
    page.evaluate(f"location.hash = '#q={failed}'")
    expect(page.locator(".card .fault").first).to_contain_text(
        "deadline_exceeded: no leg was in time"
    )


def test_the_axes_of_the_scatter_are_chosen(open_report):
    page, _ = open_report()
    expect(page.locator("#scatter circle")).to_have_count(3)
    page.get_by_label("Across").select_option(label="cost_usd")
    expect(page.locator("#scatter .axis").first).to_have_text("cost_usd, less is better")
    page.get_by_label("Size").select_option("")
    assert (
        page.locator("#scatter circle").evaluate_all(
            "all => new Set(all.map((c) => c.getAttribute('r'))).size"
        )
        == 1
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", WIDTHS)
@pytest.mark.parametrize("case", CASES)
def test_every_kind_of_run_fits_the_screen(open_report, screenshots, case, screen, scheme):
    page, _ = open_report(40, screen=screen, scheme=scheme, **CASES[case])
    page.keyboard.press("j")
    expect(page.locator("#detail h3")).to_be_visible()
    page.screenshot(path=screenshots / f"report-{case}-{screen}-{scheme}.png", full_page=True)
    root = "document.documentElement"
    assert page.evaluate(f"{root}.scrollWidth <= {root}.clientWidth")

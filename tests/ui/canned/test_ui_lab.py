"""The Lab: its lists, a run, any two arms, a question opened in Ask, the review queue."""

import pytest
from lab_canned import RUN, LabCanned
from made import HOSTILE, made_run
from playwright.sync_api import expect

SCREENS = {"phone": {"width": 360, "height": 740}, "desktop": {"width": 1440, "height": 900}}

OUTSIDE = """() => {
  const width = document.documentElement.clientWidth + 0.5;
  const out = (node) => node.getBoundingClientRect().right > width;
  return [...document.querySelectorAll("#view-lab *")]
    .filter((node) => out(node) && !node.closest(".wide-table, .arm-cards"))
    .map((node) => `${node.tagName}.${node.className}`);
}"""


@pytest.fixture
def open_lab(serve_canned, open_page):
    """Return a function that opens the Lab at a place: (page, what is behind it)."""

    def open_(where="", *, allowed=(), lab=None, **context):
        canned, address = serve_canned(pause_s=0, lab=lab or LabCanned())
        page, _ = open_page(address, path=f"/#/lab{where}", allowed=allowed, **context)
        return page, canned.lab

    return open_


def test_runs_show_set_arms_verdicts_and_failures(open_lab):
    page, _ = open_lab()
    row = page.locator(".runs tbody tr").first
    expect(row).to_contain_text("handbook")
    expect(row.locator(".arms li").nth(2)).to_contain_text("▼ 2")
    row.get_by_role("link").click()
    expect(page.get_by_role("heading", name="handbook")).to_be_visible()
    expect(page.locator(".sentences li").first).to_contain_text("base is the baseline.")


def test_an_empty_lab_says_how_to_fill_it(open_lab):
    page, _ = open_lab(lab=LabCanned(empty=True))
    expect(page.get_by_text("No runs yet")).to_be_visible()
    expect(page.locator(".lab")).to_contain_text("steelyard eval run")
    expect(page.locator(".lab")).to_contain_text("steelyard data questions")


def test_who_is_no_operator_is_told_so(open_lab):
    page, _ = open_lab(lab=LabCanned(refused=True), allowed=("403",))
    expect(page.get_by_role("alert")).to_contain_text("operator's key")


def test_an_unknown_run_is_named(open_lab):
    page, _ = open_lab("?run=nothing", allowed=("404",))
    expect(page.get_by_role("alert")).to_contain_text("there is no run 'nothing'")
    page.get_by_role("link", name="All runs").click()
    expect(page.locator(".runs")).to_be_visible()


def test_figures_stand_with_their_intervals_and_signs(open_lab):
    page, lab = open_lab(f"?run={RUN}")
    found = lab.made.report.arms[2].figures["nDCG@10"]
    cell = page.locator(".lab-table").first.locator("tbody tr").nth(2).locator("td").first
    expect(cell).to_contain_text(f"{found.value:.3f}")
    expect(cell).to_contain_text(f"[{found.low:.3f}, {found.high:.3f}]")
    page.get_by_label("Measure of the steps").select_option("p95_ms")
    expect(page.locator(".falls li").nth(1)).to_contain_text("+ embedder: tuned-e1")
    expect(page.locator(".falls .loss").first).to_be_attached()


def test_any_two_arms_are_weighed_and_their_questions_listed(open_lab):
    page, lab = open_lab(f"?run={RUN}")
    expect(page.locator(".compared tbody tr")).to_have_count(4)
    page.get_by_label("Arm", exact=True).select_option("+embedder")
    page.get_by_label("Against the arm").select_option("+reranker")
    expect(page.locator(".compared tbody tr")).to_have_count(4)
    page.get_by_label("Against the run").select_option("e-other")
    expect(page.locator(".items li").first).to_be_visible()
    page.wait_for_function("document.querySelectorAll('.items li').length === 50")
    assert lab.asked[-1]["against_run"] == "e-other"
    assert {"arm": "+embedder", "against": "+reranker", "against_run": RUN}.items() <= next(
        asked for asked in lab.asked if asked["against"] == "+reranker"
    ).items()
    page.get_by_role("button", name="Show more").click()
    expect(page.locator(".items > li")).to_have_count(60)


def test_the_same_arm_twice_is_not_weighed(open_lab):
    page, _ = open_lab(f"?run={RUN}")
    page.get_by_label("Arm", exact=True).select_option("base")
    expect(page.locator(".pair")).to_contain_text("the same arm")
    expect(page.locator(".items li").first).to_be_visible()


def test_a_question_opens_with_every_arm_and_goes_on_in_ask(open_lab):
    page, lab = open_lab(f"?run={RUN}&q=q-00001")
    opened = page.locator(".opened")
    expect(opened.locator(".arm-card")).to_have_count(3)
    expect(opened.locator(".item-question")).to_contain_text(HOSTILE)
    assert page.locator("img").count() == 0
    expect(opened.locator(".unsupported").first).to_contain_text("moon is made of cheese")
    whole = opened.get_by_role("link", name="Open in the report").get_attribute("href")
    assert whole == f"/v1/evals/{RUN}/report#q=q-00001"
    opened.get_by_role("link", name="Open in Ask").click()
    box = page.get_by_role("textbox", name="Question")
    expect(box).to_have_value(lab.made.questions.questions[1].text)


def test_keys_walk_the_questions(open_lab):
    page, _ = open_lab(f"?run={RUN}")
    expect(page.locator(".items li").first).to_be_visible()
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.locator(".items > li > details[open]")).to_have_count(1)
    expect(page.locator(".items > li > details").nth(1).locator(".arm-card")).to_have_count(3)
    page.keyboard.press("k")
    expect(page.locator(".items summary").first).to_be_focused()


def test_the_report_is_one_click_away(open_lab):
    page, _ = open_lab(f"?run={RUN}")
    link = page.get_by_role("link", name="Open the report")
    assert link.get_attribute("href") == f"/v1/evals/{RUN}/report"
    with page.context.expect_page() as opened:
        link.click()
    expect(opened.value.get_by_role("heading")).to_have_text("The report")


def test_with_a_key_the_report_is_saved_as_a_file(serve_canned, open_page):
    _, address = serve_canned(key="sesame")
    page, _ = open_page(address, path=f"/#/lab?run={RUN}", allowed=("401",))
    page.get_by_role("textbox", name="API key").fill("sesame")
    page.get_by_role("button", name="Use this key").click()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save the report").click()
    assert saved.value.suggested_filename == f"{RUN}.html"


def test_the_queue_is_worked_through_with_three_keys(open_lab):
    page, lab = open_lab("?set=handbook")
    expect(page.get_by_role("status").first).to_contain_text("3 waiting")
    page.keyboard.press("a")
    expect(page.locator(".item-question")).to_contain_text("<img src=x onerror=alert(1)>")
    page.keyboard.press("r")
    expect(page.locator(".review-card")).to_contain_text("No answer yet")
    expect(page.get_by_role("button", name="Accept")).to_be_disabled()
    page.keyboard.press("a")  # nothing to measure by, so nothing happens
    page.keyboard.press("e")
    page.get_by_label("Answers, one a line").fill("Noor\n\n Noor H. ")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".review-card")).to_contain_text("Nothing waits.")
    assert [(one["id"], one["verdict"]) for one in lab.decisions] == [
        ("w-1", "accept"), ("w-2", "reject"), ("w-3", "edit"),
    ]  # fmt: skip
    assert lab.decisions[-1]["answers"] == ["Noor", "Noor H."]


def test_a_decision_is_taken_back_and_letters_in_a_form_are_letters(open_lab):
    page, lab = open_lab("?set=handbook")
    expect(page.locator(".item-question")).to_be_visible()
    page.keyboard.press("r")
    expect(page.get_by_role("status").first).to_contain_text("1 rejected")
    page.keyboard.press("u")
    expect(page.locator(".item-question")).to_have_text("How many days does procedure 1 take?")
    page.keyboard.press("e")
    page.get_by_label("Question", exact=True).press_sequentially("are")
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Accept")).to_be_visible()
    assert [one["verdict"] for one in lab.decisions] == ["reject", "pending"]


def test_an_unanswerable_question_is_edited_as_such(open_lab):
    page, lab = open_lab("?set=handbook")
    expect(page.locator(".item-question")).to_be_visible()
    page.keyboard.press("e")
    page.get_by_label("The documents do not tell").check()
    expect(page.get_by_label("Answers, one a line")).to_be_disabled()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status").first).to_contain_text("1 edited")
    assert lab.decisions[-1]["answerable"] is False
    assert "answers" not in lab.decisions[-1]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("place", ["", f"?run={RUN}", f"?run={RUN}&q=q-00001", "?set=handbook"])
def test_the_lab_fits_the_screen(open_lab, screenshots, overflow, place, screen, scheme):
    arms = ("base", "+embedder", "+reranker", "tuned+rag_with_a_name_that_is_much_too_long_" * 2)
    lab = LabCanned(made=made_run(60, arms=arms))
    page, _ = open_lab(place, lab=lab, viewport=SCREENS[screen], color_scheme=scheme)
    expect(page.locator(".lab-table, .items, .review-card").first).to_be_visible()
    if place.startswith("?run"):
        expect(page.locator(".items li").first).to_be_visible()
    name = place.strip("?").replace("=", "-").replace("&", "-") or "list"
    path = screenshots / f"lab-{name}-{screen}-{scheme}.png"
    page.screenshot(path=path, animations="disabled", full_page=True)
    inside = page.evaluate(OUTSIDE)
    assert inside == []
    assert "the page" not in overflow(page)

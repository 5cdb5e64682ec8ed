"""The Costs view in a real browser, over the real engine with few draws."""

import csv
import io
import json
import re
import sys
import tomllib
from pathlib import Path

import pytest
from playwright.sync_api import expect

sys.path.insert(0, str(Path(__file__).parent))

from costs_canned import CostsCanned
from lab_canned import RUN, LabCanned
from made import made_run

from steelyard.advise import Scenario

SCREENS = {"phone": {"width": 360, "height": 740}, "desktop": {"width": 1440, "height": 900}}
ARMS = ("base", "rag", "tuned", "tuned+rag")


@pytest.fixture
def open_costs(serve_canned, open_page):
    def open_(query="", *, costs=None, lab=None, allowed=(), **context):
        costs = costs or CostsCanned()
        _, address = serve_canned(costs=costs, lab=lab or LabCanned(empty=True))
        page, _ = open_page(address, path=f"/#/costs{query}", allowed=allowed, **context)
        return page, costs

    return open_


def ready(page, ways=6):
    expect(page.locator(".ways tbody tr")).to_have_count(ways)
    settled(page)
    return page


def settled(page):
    """Wait until what was changed is drawn."""
    page.wait_for_timeout(300)  # the hand rests
    expect(page.locator(".cost-results[aria-busy]")).to_have_count(0)


def total(page, option):
    return page.locator(f"tr[data-option='{option}'] .figure").nth(2)


def field(page, key):
    return page.locator(f"[data-key={key}] input[type=text]")


def put(page, key, text):
    field(page, key).fill(text)
    field(page, key).press("Tab")


def test_the_first_look_says_what_to_take_how_surely_and_that_nothing_was_measured(open_costs):
    page, costs = open_costs()
    ready(page)
    expect(page.locator(".cost-verdict")).to_contain_text("A tie between Tuned model + retrieval")
    expect(page.locator(".cost-verdict")).to_contain_text("none is chosen in 95 of 100")
    notice = page.locator(".cost-results .notice")
    expect(notice).to_contain_text("Nothing was measured here")
    expect(notice.locator("code")).to_contain_text("steelyard eval run --data QUESTIONS")
    expect(page.locator(".flips li")).to_have_count(5)
    expect(page.locator(".reasons li")).to_have_count(6)
    expect(page.locator(".rules li")).to_have_count(7)
    expect(page.get_by_text("disagrees with the choice here")).to_be_visible()
    assert len(costs.asked) == 1


def test_a_slider_changes_the_numbers_and_says_that_the_value_is_yours(open_costs):
    page, costs = open_costs("?scenario=internal-kb")
    ready(page)
    before = total(page, "rag@api").inner_text()
    row = page.locator("[data-key=questions_per_day]")
    expect(row).to_have_attribute("data-origin", "scenario")
    row.get_by_role("slider").focus()
    for _ in range(4):
        page.keyboard.press("PageUp")
    expect(total(page, "rag@api")).not_to_have_text(before)
    expect(row).to_have_attribute("data-origin", "yours")
    expect(row).to_contain_text("yours, was 10,000")
    settled(page)
    assert costs.asked[-1]["scenario"]["questions_per_day"] > 10_000
    assert len(costs.asked) < 6  # one for the hand's rest, not one a step
    page.get_by_role("button", name="Reset questions a day at the start").click()
    expect(total(page, "rag@api")).to_have_text(before)
    expect(row).to_have_attribute("data-origin", "scenario")


def test_a_default_a_given_value_and_a_range_are_told_apart(open_costs):
    page, _ = open_costs()
    ready(page)
    peak = page.locator("[data-key=peak_factor]")
    expect(peak).to_contain_text("default 2.1 – 5.1")
    put(page, "peak_factor", "2..4..8")
    expect(peak).to_have_attribute("data-origin", "yours")
    settled(page)
    expect(page.locator(".tornado")).to_contain_text("2 – 8")


def test_break_even_is_drawn_with_its_band_and_its_number_leads_to_both_totals(open_costs):
    page, _ = open_costs()
    ready(page)
    plot = page.get_by_role("img", name="Cost over 12 months by questions a day")
    expect(plot.locator(".line")).to_have_count(6)
    expect(plot.locator(".band")).to_have_count(2)
    expect(plot.locator(".break-mark")).to_have_count(1)
    band = plot.locator(".break-band").bounding_box()
    mark = plot.locator(".break-mark").bounding_box()
    assert band["x"] < mark["x"] + mark["width"] / 2 < band["x"] + band["width"]
    assert band["width"] > 2
    page.locator("[data-why^='break-even of']").first.click()
    told = page.get_by_role("dialog")
    expect(told).to_contain_text("questions_per_day at which")
    expect(told.locator(".why-inputs dt")).to_have_count(3)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Model alone, seller's API", exact=True).click()
    expect(plot.locator(".band")).to_have_count(3)
    assert plot.locator(".break-mark").count() >= 1


def test_no_plot_holds_what_is_no_number(open_costs):
    page, _ = open_costs()
    ready(page)
    for key, text in [("questions_per_day", "0.1"), ("questions_per_day", "10000000000"),
                      ("min_quality", "1"), ("growth", "1"), ("documents", "0")]:  # fmt: skip
        put(page, key, text)
        settled(page)
        drawn = page.locator(".cost-plot").evaluate_all("all => all.map((x) => x.outerHTML).join()")
        assert re.search(r"NaN|Infinity|undefined", drawn) is None, (key, text)
        assert "NaN" not in page.locator(".costs").inner_text()


def test_a_number_clicks_through_to_a_source_with_a_date(open_costs):
    page, _ = open_costs("?scenario=internal-kb")
    ready(page)
    total(page, "rag@api").click()
    told = page.get_by_role("dialog")
    expect(told.get_by_role("heading", name="rag@api total")).to_be_visible()
    expect(told.locator(".formula")).to_contain_text("sum over months(rag@api a month)")
    steps = ("rag@api a month", "rag@api tokens a month", "rag@api tokens of a question")
    for name in (*steps, "price of llm/gpt-6-luna/in"):
        told.locator(".why-inputs").get_by_role("button").locator(
            f"xpath=self::*[@data-why='{name}']"
        ).first.click()
        expect(told.locator("h2")).to_have_text(name)
    expect(told.locator(".why-value")).to_contain_text("USD/Mtoken")
    expect(told.locator(".facts")).to_contain_text("OpenAI")
    expect(told.locator(".facts")).to_contain_text("2026-09-22")
    expect(told.locator(".facts")).to_contain_text("by its seller")
    told.get_by_role("button", name="Back").click()
    expect(told.locator("h2")).to_have_text("rag@api tokens of a question")
    page.keyboard.press("Escape")
    expect(told).to_have_count(0)


def test_every_number_that_can_be_clicked_leads_somewhere(open_costs):
    page, _ = open_costs()
    ready(page)
    names = page.locator(".costs [data-why]").evaluate_all("all => all.map((x) => x.dataset.why)")
    assert len(set(names)) > 50
    for name in sorted(set(names)):
        page.locator(f'.costs [data-why="{name}"]').first.evaluate("node => node.click()")
        expect(page.get_by_role("dialog").locator("h2")).to_have_text(name)
        assert page.locator(".why .formula, .why .facts").count() == 1, name
        page.keyboard.press("Escape")


def test_applying_a_flip_changes_what_is_chosen(open_costs):
    page, costs = open_costs("?scenario=internal-kb")
    ready(page)
    chosen = page.locator("tr.best")
    expect(chosen).to_have_attribute("data-option", "tuned+rag@gpu")
    flip = page.locator(".flips li", has_text="tuned+rag quality")
    expect(flip).to_contain_text("leads to Retrieval")
    flip.get_by_role("button", name="Apply").click()
    expect(chosen).to_have_attribute("data-option", "rag@api")
    assert costs.asked[-1]["what_if"] == {"tuned+rag quality": pytest.approx(0.82, abs=0.001)}
    expect(page.locator(".what-ifs li")).to_contain_text("what if tuned+rag quality = 0.82")
    page.get_by_role("button", name="Forget tuned+rag quality").click()
    expect(chosen).to_have_attribute("data-option", "tuned+rag@gpu")
    page.locator(".flips li", has_text="may be given up").get_by_text("Apply").click()
    expect(page.locator("[data-key=tolerance]")).to_have_attribute("data-origin", "yours")
    said = page.locator(".cost-head", has_text="With every input at exactly its stated value")
    expect(said).to_contain_text("the choice is Retrieval, seller's API")  # draws may say another


def test_bad_input_is_one_message_with_the_allowed_range_and_the_picture_stays(open_costs):
    page, _ = open_costs(allowed=("400", "404"))
    ready(page)
    before = total(page, "rag@api").inner_text()
    put(page, "questions_per_day", "-5")
    put(page, "hit_ratio", "lots")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("hit_ratio: 'lots' is no number from 0 to 0.99")
    expect(alert).to_contain_text("questions_per_day: -5 is no number from 0.1 to 1e+10")
    expect(alert).to_have_count(1)
    expect(total(page, "rag@api")).to_have_text(before)
    expect(field(page, "questions_per_day")).to_have_attribute("aria-invalid", "true")
    expect(field(page, "churn")).not_to_have_attribute("aria-invalid", "true")
    page.get_by_role("button", name="Reset all inputs").click()
    expect(alert).to_have_count(0)
    model = page.get_by_label("Model on a seller's API", exact=True)
    model.fill("gpt-6-lunar")
    model.press("Tab")
    expect(alert).to_contain_text("gpt-6-luna/in")


def test_a_slow_reply_never_overwrites_a_newer_one(open_costs):
    page, costs = open_costs()
    ready(page)
    costs.delays = [2.0]
    put(page, "questions_per_day", "50")
    page.wait_for_timeout(500)  # asked, and not answered
    assert page.locator(".cost-results").get_attribute("aria-busy") == "true"
    expect(page.locator(".ways tbody tr")).to_have_count(6)  # the picture before stays
    put(page, "questions_per_day", "77000000")
    settled(page)
    newest = total(page, "rag@api").inner_text()
    assert [body["scenario"]["questions_per_day"] for body in costs.asked[1:]] == [50, 77_000_000]
    page.wait_for_timeout(2_200)
    expect(total(page, "rag@api")).to_have_text(newest)
    expect(field(page, "questions_per_day")).to_have_value("77,000,000")


def test_a_scenario_of_ones_own_survives_a_reload(open_costs):
    page, costs = open_costs("?scenario=small-team")
    ready(page)
    put(page, "churn", "0.4")
    page.get_by_label("An answer must show its source").check()
    settled(page)
    page.get_by_role("link", name="Ask").click()
    page.get_by_role("link", name="Costs").click()
    expect(field(page, "churn")).to_have_value("0.4")
    page.reload()
    ready(page)
    expect(page.locator("#cost-scenario")).to_have_value("small-team")
    expect(field(page, "churn")).to_have_value("0.4")
    expect(page.get_by_label("An answer must show its source")).to_be_checked()
    expect(page.get_by_text("not allowed: it cannot show sources").first).to_be_visible()
    assert costs.asked[-1]["scenario"] == {"churn": 0.4, "citations": True}


def test_two_scenarios_stand_side_by_side(open_costs):
    page, _ = open_costs("?scenario=small-team")
    ready(page)
    page.get_by_role("button", name="Pin", exact=True).click()
    page.locator("#cost-scenario").select_option("support-bot")
    settled(page)
    compared = page.locator("table.pinned")
    expect(compared).to_contain_text("Pinned: small-team")
    expect(compared).to_contain_text("Now: support-bot")
    row = compared.locator("tr", has_text="questions a day at the start")
    expect(row).to_contain_text("300")
    expect(row).to_contain_text("1,000,000")
    expect(compared.locator("tr", has_text="Retrieval, seller's API, USD")).to_contain_text("+")
    page.reload()
    ready(page)
    expect(compared).to_contain_text("Pinned: small-team")
    page.get_by_role("button", name="Unpin").click()
    expect(compared).to_have_count(0)


def saved(page, name):
    with page.expect_download() as found:
        page.get_by_role("button", name=name, exact=True).click()
    return found.value.suggested_filename, Path(found.value.path()).read_text(encoding="utf-8")


def test_exports_hold_the_numbers_that_are_shown(open_costs):
    page, _ = open_costs("?scenario=internal-kb")
    ready(page)
    put(page, "churn", "0.2")
    settled(page)
    shown = total(page, "rag@api").inner_text()
    name, text = saved(page, "CSV")
    assert name == "steelyard-costs-internal-kb.csv"
    rows = {row["option"]: row for row in csv.DictReader(io.StringIO(text))}
    assert f"{float(rows['rag@api']['total_usd']):,.0f}" == shown
    assert "citations are needed" in rows["base@api"]["excluded"]
    _, text = saved(page, "JSON")
    told = json.loads(text)
    assert f"{told['formulas']['rag@api total']['value']:,.0f}" == shown
    name, text = saved(page, "One page")
    assert name.endswith(".html")
    assert shown in text
    assert "<script" not in text
    _, text = saved(page, "Scenario file")
    scenario = Scenario.read(tomllib.loads(text))
    assert scenario["churn"].value == 0.2
    assert scenario["questions_per_day"].value == 10_000
    assert scenario.choices.citations is True
    assert scenario["peak_factor"].is_default


def test_a_run_of_the_arms_replaces_the_defaults(open_costs):
    made = made_run(60, arms=ARMS, measures=("F1", "p95_ms"))
    page, costs = open_costs(
        f"?run={RUN}", costs=CostsCanned(report=made.report), lab=LabCanned(made=made)
    )
    ready(page, ways=4)  # its reader quotes the documents: no model, no GPU
    expect(page.get_by_text("Nothing was measured here")).to_have_count(0)
    expect(page.locator(".cost-head")).to_contain_text(f"are measured: run {RUN}")
    expect(page.locator("#cost-report")).to_have_value(RUN)
    page.locator("tr[data-option='rag@server'] .figure").nth(4).click()
    expect(page.locator(".why .facts")).to_contain_text(RUN)
    expect(page.locator(".why .facts")).to_contain_text(made.report.created_at[:10])
    page.keyboard.press("Escape")
    page.locator("#cost-report").select_option("")
    expect(page.get_by_text("Nothing was measured here")).to_be_visible()
    assert costs.asked[-1]["run"] == ""


def test_a_run_leads_to_its_costs(open_costs):
    made = made_run(60, arms=ARMS, measures=("F1", "p95_ms"))
    page, _ = open_costs(costs=CostsCanned(report=made.report), lab=LabCanned(made=made))
    ready(page)
    page.goto(page.url.split("#")[0] + f"#/lab?run={RUN}")
    page.get_by_role("link", name="Weigh the costs").click()
    expect(page.locator("#cost-report")).to_have_value(RUN)


def test_who_may_not_see_costs_is_told_what_to_do(open_costs):
    page, costs = open_costs(costs=CostsCanned(refused=True), allowed=("403",))
    expect(page.get_by_role("alert")).to_contain_text("Use an operator's key")
    costs.refused = False
    page.get_by_role("button", name="Try again").click()
    ready(page)


def test_other_views_load_nothing_of_the_costs(serve_canned, open_page):
    _, address = serve_canned(costs=CostsCanned())
    page, watch = open_page(address)
    expect(page.locator(".example, .welcome").first).to_be_visible()
    assert not [url for url in watch.requests if "costs" in url or "advise" in url]
    page.get_by_role("link", name="Costs").click()
    ready(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", SCREENS)
def test_the_costs_fit_the_screen(open_costs, screenshots, overflow, screen, scheme):
    page, _ = open_costs(viewport=SCREENS[screen], color_scheme=scheme, reduced_motion="reduce")
    ready(page)
    page.screenshot(path=screenshots / f"costs-{screen}-{scheme}.png", full_page=True)
    out = [
        one
        for one in overflow(page)
        if not one.startswith(("TABLE", "T", "SMALL", "BUTTON.figure"))
    ]
    assert out == []
    total(page, "rag@api").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.screenshot(path=screenshots / f"why-{screen}-{scheme}.png")
    box = page.get_by_role("dialog").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= SCREENS[screen]["width"]
    assert box["y"] + box["height"] <= SCREENS[screen]["height"]

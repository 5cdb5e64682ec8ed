"""The Lab's training runs in a real browser: listed, followed while they go on, cancelled."""

import sys
from pathlib import Path

import pytest
from playwright.sync_api import expect

sys.path.insert(0, str(Path(__file__).parent))

from lab_canned import RUN, TRAINING, LabCanned

SCREENS = {"phone": {"width": 360, "height": 740}, "desktop": {"width": 1440, "height": 900}}


@pytest.fixture
def open_training(serve_canned, open_page):
    def open_(query=f"?training={TRAINING}", lab=None, **context):
        lab = lab or LabCanned()
        _, address = serve_canned(lab=lab)
        page, _ = open_page(address, path=f"/#/lab{query}", **context)
        return page, lab

    return open_


def test_runs_are_listed_and_one_is_opened(open_training):
    page, _ = open_training("")
    row = page.locator("tr", has_text=TRAINING)
    expect(row).to_contain_text("reranker")
    expect(row).to_contain_text("40 / 100")
    row.get_by_role("link").click()
    expect(page.get_by_role("heading", name=TRAINING)).to_be_visible()


def test_a_home_that_trained_nothing_says_how_to(open_training):
    page, _ = open_training("", lab=LabCanned(empty=True))
    expect(page.get_by_text("Nothing was trained here yet")).to_be_visible()


def test_a_run_shows_its_curve_its_measures_and_what_became_of_every_token(open_training):
    page, _ = open_training()
    expect(page.get_by_role("img", name="from 2.000 to 0.3162")).to_be_visible()
    expect(page.locator(".tile", has_text="nDCG@10").locator("strong")).to_have_text("0.4400")
    expect(page.locator(".shares")).to_contain_text("9000")
    expect(page.locator(".shares")).to_contain_text("3 %")
    page.get_by_text("Recipe").click()
    expect(page.get_by_text("<img src=x")).to_be_visible()
    assert page.locator("img").count() == 0


def test_a_run_is_followed_until_it_has_ended(open_training):
    page, lab = open_training()
    expect(page.get_by_text("at step 40")).to_be_visible()
    lab.steps = 60
    expect(page.get_by_text("at step 60")).to_be_visible()
    lab.steps, lab.training["state"] = 100, "done"
    expect(page.get_by_text("at step 100")).to_be_visible()
    expect(page.locator(".training-head .sign")).to_have_text("done")
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)


def test_cancelling_takes_two_clicks(open_training):
    page, lab = open_training()
    page.get_by_role("button", name="Cancel").click()
    assert lab.cancelled == []
    page.get_by_role("button", name="Really cancel it?").click()
    expect(page.locator(".training-head .sign")).to_have_text("interrupted")
    assert lab.cancelled == [TRAINING]


def test_a_failed_run_says_why(open_training):
    lab = LabCanned()
    lab.training |= {"state": "failed", "error": "step 7: the loss is nan; lower train.lr"}
    page, _ = open_training(lab=lab)
    expect(page.locator(".notice.bad")).to_have_text("step 7: the loss is nan; lower train.lr")


def test_leaving_a_run_ends_its_polling(open_training):
    page, _ = open_training()
    expect(page.get_by_text("at step 40")).to_be_visible()
    page.goto(page.url.split("#")[0] + f"#/lab?run={RUN}")
    expect(page.get_by_role("link", name="Open the report")).to_be_visible()
    page.wait_for_timeout(2_500)
    expect(page.get_by_role("link", name="Open the report")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", SCREENS)
def test_a_training_run_fits_the_screen(open_training, screenshots, overflow, screen, scheme):
    page, _ = open_training(viewport=SCREENS[screen], color_scheme=scheme)
    expect(page.locator(".curve")).to_be_visible()
    path = screenshots / f"training-{screen}-{scheme}.png"
    page.screenshot(path=path, animations="disabled", full_page=True)
    assert "the page" not in overflow(page)

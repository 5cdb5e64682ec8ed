"""The Operations page: live numbers, its refreshing, its empty and refused states."""

import re
from copy import deepcopy

import pytest
from playwright.sync_api import expect
from registry_canned import RegistryCanned

SCREENS = {"phone": {"width": 360, "height": 740}, "desktop": {"width": 1440, "height": 900}}


def stage(name, p50, count=12):
    return {
        "stage": name,
        "count": count,
        "mean": p50,
        "p50": p50,
        "p95": p50 * 2,
        "p99": p50 * 4,
        "max": p50 * 5,
    }


def slow(identity, total_ms, question="How many days of paid leave do I get?"):
    return {
        "id": identity,
        "at": "2026-11-21T05:00:00+00:00",
        "question": question,
        "cache": "miss",
        "degraded": [],
        "timings_ms": {
            "embed": 3.0,
            "dense": 1.0,
            "lexical": 2.0,
            "search": 6.0,
            "first_token": 20.0,
        }
        | {"generate": total_ms - 6.0, "total": total_ms},
    }


BUSY = {
    "stages": [
        stage("total", 210.0),
        stage("embed", 3.4),
        stage("dense", 0.7),
        stage("lexical", 1.1),
        stage("fuse", 0.09),
        stage("fetch", 0.6),
        stage("rerank", 31.0),
        stage("search", 38.0),
        stage("first_token", 92.0),
        stage("generate", 170.0),
    ],
    "answers": {"answered": 9, "not_in_documents": 2, "error": 1},
    "cache": {"exact": 3, "semantic": 1, "miss": 7},
    "degraded": {"rerank": 2},
    "batches": {
        "questions": {
            "count": 9, "items": 23, "weight": 260, "mean": 2.556,
            "sizes": {"1": 4, "2": 2, "3-4": 2, "5-8": 1, "9-16": 0, "17-32": 0, "33+": 0},
        }
    },
    "queues": {"questions": {"now": 1, "max": 6}},
    "admission": {"admitted": 12, "rejected": 4},
    "loop_lag": {"count": 120, "mean": 0.4, "p50": 0.3, "p95": 0.9, "p99": 2.2, "max": 3.1},
    "in_flight": 2,
    "truth": 44,
    "slow": [
        slow("a1", 910.0),
        slow("a2", 450.0, "<img src=x onerror=alert(1)> " + "and a very long question " * 12),
    ],
}  # fmt: skip


def cells(page, name):
    return page.locator(f'tr[data-stage="{name}"] td').all_inner_texts()[:5]


def test_stages_stand_in_their_order_with_their_percentiles(serve_canned, open_page):
    _, address = serve_canned(operations=BUSY)
    page, _ = open_page(address, path="/#/operations", viewport=SCREENS["desktop"])
    expect(page.locator("tbody tr[data-stage]")).to_have_count(10)
    order = page.locator("tr[data-stage]").evaluate_all("rows => rows.map((r) => r.dataset.stage)")
    assert order[:6] == ["embed", "dense", "lexical", "fuse", "fetch", "rerank"]
    assert order[-3:] == ["first_token", "generate", "total"]
    assert cells(page, "embed") == ["12", "3.40 ms", "6.80 ms", "13.6 ms", "17.0 ms"]
    tiles = page.locator(".tile")
    expect(tiles.filter(has_text="First token, p95")).to_contain_text("184 ms")
    expect(tiles.filter(has_text="From the cache")).to_contain_text("33 %")
    expect(tiles.filter(has_text="In flight")).to_contain_text("4 turned away")
    expect(page.locator(".panel").filter(has_text="Queues")).to_contain_text("at most 6")
    expect(page.locator(".facts")).to_contain_text("41, 3 changes behind")


def test_numbers_refresh_by_themselves_and_rest_when_the_view_is_left(serve_canned, open_page):
    canned, address = serve_canned(operations=BUSY)
    page, _ = open_page(address, path="/#/operations")
    expect(page.locator("tr[data-stage=embed]")).to_contain_text("3.40 ms")
    canned.operations = BUSY | {"stages": [stage("embed", 7.0)]}
    expect(page.locator("tr[data-stage=embed]")).to_contain_text("7.00 ms")
    page.get_by_role("link", name="About").click()
    expect(page.get_by_text("all-MiniLM-L6-v2 int8")).to_be_visible()
    asked = len(canned.spans_asked)
    page.wait_for_timeout(2_600)  # longer than the time between two readings
    assert len(canned.spans_asked) == asked
    page.get_by_role("link", name="Operations").click()
    expect(page.locator("tr[data-stage=embed]")).to_be_visible()
    assert len(canned.spans_asked) > asked


def test_another_time_span_is_asked_for_with_the_keyboard_alone(serve_canned, open_page):
    canned, address = serve_canned(operations=BUSY)
    page, _ = open_page(address, path="/#/operations")
    expect(page.locator("tr[data-stage=embed]")).to_be_visible()
    page.keyboard.press("/")
    expect(page.get_by_label("Time span")).to_be_focused()
    with page.expect_response(re.compile("window_s=300")):
        page.keyboard.press("ArrowDown")
    assert canned.spans_asked[0] == "60"


def test_an_open_slow_question_stays_open_and_focused_while_the_list_changes(
    serve_canned, open_page
):
    canned, address = serve_canned(operations=BUSY)
    page, _ = open_page(address, path="/#/operations")
    second = page.locator(".slow summary").nth(1)
    expect(second).to_contain_text("<img src=x onerror=alert(1)>")
    second.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".slow details[open] .waterfall").first).to_be_visible()
    canned.operations = BUSY | {"slow": [slow("a3", 2000.0), *BUSY["slow"]]}
    expect(page.locator(".slow li")).to_have_count(3)
    expect(page.locator(".slow details[open]")).to_have_count(1)
    expect(page.locator(".slow summary").nth(2)).to_be_focused()


def test_a_server_without_questions_says_how_to_get_some(serve_canned, open_page):
    _, address = serve_canned()
    page, _ = open_page(address, path="/#/operations")
    expect(page.get_by_text("No questions in the last minute")).to_be_visible()
    expect(page.locator(".stage-table")).to_have_count(0)
    expect(page.locator(".facts").last).to_contain_text("up to date")
    page.get_by_role("link", name="Ask one").click()
    expect(page.get_by_role("textbox", name="Question")).to_be_visible()


def test_who_is_no_operator_is_told_once_and_not_asked_again(serve_canned, open_page):
    canned, address = serve_canned(operations={"refused": True})
    page, _ = open_page(address, path="/#/operations", allowed=("403",))
    expect(page.get_by_role("alert")).to_contain_text("operator's key")
    page.wait_for_timeout(2_600)
    assert len(canned.spans_asked) == 1


def test_a_server_that_goes_away_is_told_and_comes_back(serve_canned, open_page):
    _, address = serve_canned(operations=BUSY)
    page, _ = open_page(address, path="/#/operations", allowed=("ERR_FAILED", "Failed to load"))
    expect(page.locator("tr[data-stage=embed]")).to_be_visible()
    page.route("**/v1/operations*", lambda route: route.abort())
    expect(page.get_by_role("alert")).to_contain_text("doesn't answer")
    page.unroute("**/v1/operations*")
    expect(page.get_by_role("alert")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("state", ["busy", "idle"])
def test_operations_fit_the_screen(
    serve_canned, open_page, screenshots, overflow, screen, scheme, state
):
    _, address = serve_canned(operations=BUSY if state == "busy" else {})
    page, _ = open_page(
        address,
        path="/#/operations",
        viewport=SCREENS[screen],
        color_scheme=scheme,
        reduced_motion="reduce",
    )
    expect(page.locator(".facts").last).to_be_visible()
    if state == "busy":
        page.locator(".slow summary").first.click()
    path = screenshots / f"{screen}-{scheme}-operations-{state}.png"
    page.screenshot(path=path, animations="disabled", full_page=True)
    assert overflow(page) == []


def test_lines_and_ranges_are_drawn_to_scale(browser, serving):
    from starlette.applications import Starlette
    from starlette.responses import HTMLResponse
    from starlette.routing import Mount, Route
    from starlette.staticfiles import StaticFiles

    from steelyard.ui import STATIC

    routes = [
        Route("/", lambda _: HTMLResponse("")),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    with serving(Starlette(routes=routes)) as address:
        page = browser.new_page()
        page.goto(address)
        found = page.evaluate(
            """async () => {
              const m = await import("/static/charts.js");
              return { line: m.linePoints([0, 5, 10], 100, 23),
                       gap: m.linePoints([1, null, 1], 10, 23).length,
                       flat: m.linePoints([0, 0], 10, 23), none: m.linePoints([], 10, 23),
                       places: [0.1, 1, 10, 100, 0.01].map((ms) => m.logPlace(ms, 100)),
                       tops: [0.5, 10, 11, 900, 0].map(m.decadeAbove) };
            }"""
        )
        page.context.close()
    assert found["line"] == [["0.0,21.5", "50.0,11.5", "100.0,1.5"]]
    assert found["gap"] == 2
    assert found["flat"] == [["0.0,21.5", "10.0,21.5"]]
    assert found["none"] == []
    assert found["places"] == [0, pytest.approx(1 / 3), pytest.approx(2 / 3), 1, 0]
    assert found["tops"] == [10, 10, 100, 1000, 10]


SERVING = {
    "champion": "b0123456789abcdef",
    "previous": None,
    "draining": 0,
    "last_swap": None,
    "refused": None,
    "embedding": None,
}
ALIASES = {
    "reranker": {"champion": "support-v2", "previous": "support-v1", "challenger": "other-v9"},
    "reader": {"champion": "reader-v1"},
}


def registry():
    return RegistryCanned(deepcopy(ALIASES))


def row_of(page, kind):
    return page.locator(f'li[data-kind="{kind}"]')


def test_what_serves_is_shown_and_a_rollback_asks_why_first(serve_canned, open_page):
    canned, address = serve_canned(operations={"serving": SERVING}, registry=registry())
    desktop = {"allowed": ("409",), "viewport": SCREENS["desktop"]}
    page, _ = open_page(address, path="/#/operations", **desktop)
    expect(row_of(page, "reranker")).to_contain_text("support-v2")
    expect(row_of(page, "reranker")).to_contain_text("other-v9")
    expect(row_of(page, "reader")).to_contain_text("no version")
    page.get_by_role("button", name="Roll back the reranker").click()
    assert canned.registry.rollbacks == []
    why = row_of(page, "reranker").get_by_label("Why")
    expect(why).to_be_focused()
    why.fill("too late")
    page.get_by_role("button", name="Go back to support").click()
    expect(row_of(page, "reranker")).to_contain_text("another promotion overtook this one")
    why.fill("slower")
    page.get_by_role("button", name="Go back to support").click()
    expect(page.locator(".toasts")).to_contain_text("The reranker is support again.")
    expect(row_of(page, "reranker").locator("p").first).to_contain_text("support-v1")
    assert canned.registry.rollbacks[-1] == {"kind": "reranker", "why": "slower"}


def test_a_rollback_that_was_not_meant_is_cancelled(serve_canned, open_page):
    canned, address = serve_canned(operations={"serving": SERVING}, registry=registry())
    page, _ = open_page(address, path="/#/operations")
    page.get_by_role("button", name="Roll back the reader").click()
    expect(page.get_by_role("button", name="Go back to no version")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("button", name="Roll back the reader")).to_be_visible()
    assert canned.registry.rollbacks == []


def test_the_history_tells_who_and_what_passed_no_gate(serve_canned, open_page):
    _, address = serve_canned(operations={"serving": SERVING}, registry=registry())
    page, _ = open_page(address, path="/#/operations", viewport=SCREENS["phone"])
    page.get_by_text("How it came about").click()
    items = page.locator(".served-history li")
    expect(items).to_have_count(2)
    expect(items.filter(has_text="reader")).to_contain_text("without a passed gate")
    expect(items.first).to_contain_text("<b>it is better</b>")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_what_was_refused_and_what_is_being_embedded_is_told(serve_canned, open_page):
    serving = SERVING | {
        "refused": {"code": "probe", "reason": "it gives every passage the same score"},
        "embedding": {"done": 40, "total": 120},
    }
    _, address = serve_canned(operations={"serving": serving})
    page, _ = open_page(address, path="/#/operations")
    served = page.locator(".served")
    expect(served.get_by_role("alert")).to_contain_text("it gives every passage the same score")
    expect(served).to_contain_text("40 of 120 passages")
    expect(served).to_contain_text("Nothing was promoted: all is as the settings say.")

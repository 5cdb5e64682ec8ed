"""How the page looks and behaves on a phone and a desktop, light and dark."""

import pytest
from playwright.sync_api import Page, expect

SCREENS = {"phone": {"width": 360, "height": 740}, "desktop": {"width": 1440, "height": 900}}


def finish(page: Page, question: str) -> None:
    box = page.get_by_role("textbox", name="Question")
    box.fill(question)
    box.press("Enter")
    expect(page.locator(".question").last).to_have_text(question)
    expect(page.locator(".turn").last).to_have_attribute("data-ending", "done")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", SCREENS)
def test_every_view_fits_the_screen(serve_canned, open_page, screenshots, overflow, screen, scheme):
    canned, address = serve_canned(pause_s=0, num_documents=120, collections=["default", "legal"])
    long_name = "a_very_long_file_name_without_any_place_to_break_" * 4 + ".pdf"
    canned.rows[2] |= {"id": "file-0002.md", "title": long_name, "uri": "handbook/" + long_name}
    canned.rows[3] |= {"state": "embedding", "num_chunks": 0}
    settings = {"color_scheme": scheme, "reduced_motion": "reduce"}
    page, _ = open_page(address, viewport=SCREENS[screen], **settings)
    expect(page.locator(".example").first).to_be_visible()

    def shoot(name: str, *, full_page: bool = False) -> None:
        path = screenshots / f"{screen}-{scheme}-{name}.png"
        page.screenshot(path=path, animations="disabled", full_page=full_page)
        assert overflow(page) == [], name
        assert path.stat().st_size > 5_000

    shoot("welcome")
    finish(page, "How many days of paid leave do I get, and what becomes of those I don't use?")
    page.locator("details.how summary").click()
    shoot("answer", full_page=True)
    page.locator(".answer button.cite").nth(1).click()
    expect(page.locator(".reader .lit")).to_be_visible()
    shoot("source")
    page.keyboard.press("Escape")
    finish(page, "unanswerable?")
    shoot("verdict")
    page.get_by_role("link", name="Library").click()
    expect(page.locator(".document").nth(3)).to_be_visible()
    shoot("library")
    page.get_by_role("link", name="About").click()
    expect(page.get_by_text("all-MiniLM-L6-v2 int8")).to_be_visible()
    shoot("about")


def test_colours_toggle_is_kept_over_a_reload(serve_canned, open_page):
    _, address = serve_canned()
    page, _ = open_page(address, color_scheme="light")
    paper = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(paper)
    page.get_by_role("button", name="Colours: as the system").click()
    page.get_by_role("button", name="Colours: light").click()
    dark = page.evaluate(paper)
    assert dark != light
    page.reload()
    assert page.evaluate(paper) == dark


def test_text_has_enough_contrast_in_both_schemes(serve_canned, open_page):
    """WCAG AA, 4.5 to 1, for the ink and the muted text on every ground that they stand on."""
    _, address = serve_canned()
    for scheme in ("light", "dark"):
        page, _ = open_page(address, color_scheme=scheme)
        ratios = page.evaluate(
            """() => {
              const canvas = new OffscreenCanvas(1, 1).getContext("2d");
              const probe = document.body.appendChild(document.createElement("i"));
              const luminance = (name) => {
                probe.style.color = `var(--${name})`;
                canvas.fillStyle = getComputedStyle(probe).color;
                canvas.fillRect(0, 0, 1, 1);
                const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map((v) =>
                  v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4);
                return 0.2126 * r + 0.7152 * g + 0.0722 * b;
              };
              const ratio = (a, b) => {
                const [x, y] = [luminance(a), luminance(b)].sort((p, q) => q - p);
                return (x + 0.05) / (y + 0.05);
              };
              const pairs = [
                ["ink", "paper"], ["ink", "card"], ["ink", "lit"], ["ink", "lit-soft"],
                ["muted", "paper"], ["muted", "card"], ["muted", "wash"], ["steel", "card"],
                ["on-steel", "steel"], ["good", "card"], ["bad", "card"], ["bad", "paper"],
                ["brass-ink", "card"], ["brass-ink", "paper"], ["ink", "bad-wash"],
                ["good", "paper"],
              ];
              return Object.fromEntries(pairs.map(([a, b]) => [`${a} on ${b}`, ratio(a, b)]));
            }"""
        )
        small = {pair: ratio for pair, ratio in ratios.items() if ratio < 4.5}
        assert small == {}, scheme


def test_reduced_motion_stops_every_animation(serve_canned, open_page):
    _, address = serve_canned(pause_s=0)
    page, _ = open_page(address, reduced_motion="reduce")
    box = page.get_by_role("textbox", name="Question")
    box.fill("endless?")
    box.press("Enter")
    expect(page.locator(".answer")).to_contain_text("28 days")
    assert page.evaluate("document.getAnimations().length") == 0
    page.keyboard.press("Escape")

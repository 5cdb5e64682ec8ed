"""The library: states, filters, long lists, uploads, deletion."""

import re

from playwright.sync_api import Page, expect


def drop(page: Page, files: dict[str, str]) -> None:
    """Drop files on the library as a browser would."""
    transfer = page.evaluate_handle(
        """(files) => {
          const transfer = new DataTransfer();
          for (const [name, text] of Object.entries(files))
            transfer.items.add(new File([text], name, { type: "text/plain" }));
          return transfer;
        }""",
        files,
    )
    target = page.locator("#view-library")
    target.dispatch_event("dragenter", {"dataTransfer": transfer})
    expect(target).to_have_class(re.compile("dropping"))
    target.dispatch_event("drop", {"dataTransfer": transfer})
    expect(target).not_to_have_class(re.compile("dropping"))


def test_states_filter_the_list_and_failures_tell_their_reason(serve_canned, open_page):
    _, address = serve_canned()
    page, _ = open_page(address, path="/#/library")
    expect(page.locator(".document")).to_have_count(3)
    assert page.get_by_text("encrypted: a password is needed").is_visible()
    failed = page.locator(".counts").get_by_role("button", name="failed 1")
    failed.click()
    expect(page.locator(".document")).to_have_count(1)
    expect(page.locator('.counts [aria-pressed="true"]')).to_have_text("failed1")
    page.locator(".counts").get_by_role("button", name="failed").click()
    expect(page.locator(".document")).to_have_count(3)


def test_upload_by_drop_shows_each_files_way(serve_canned, open_page):
    canned, address = serve_canned()
    page, _ = open_page(address, path="/#/library", allowed=("415",))
    expect(page.locator(".document")).to_have_count(3)
    drop(page, {"notes.md": "hello", "virus.exe": "MZ", "ünïcode 🎈.txt": "x" * 5000})
    uploads = page.locator(".uploads li")
    expect(uploads).to_have_count(3)
    expect(uploads.nth(1)).to_contain_text("'virus.exe' is a program, not a document")
    expect(page.locator(".document", has_text="notes.md")).to_contain_text("parsing")
    assert sorted(canned.uploads) == [
        ("notes.md", "", 5),
        ("virus.exe", "", 2),
        ("ünïcode 🎈.txt", "", 5000),
    ]
    for row in canned.rows:
        row["state"] = "searchable" if row["state"] == "parsing" else row["state"]
    expect(uploads.nth(0)).to_contain_text("searchable")
    expect(uploads.nth(2)).to_contain_text("searchable")
    page.get_by_role("button", name="Close the list of uploads").click()
    expect(uploads).to_have_count(0)


def test_upload_by_picker_goes_to_the_chosen_collection(serve_canned, open_page):
    canned, address = serve_canned(collections=["default", "legal"])
    page, _ = open_page(address, path="/#/library")
    page.get_by_role("combobox", name="Collection").select_option("legal")
    with page.expect_file_chooser() as chosen:
        page.get_by_role("button", name="Add files").click()
    chosen.value.set_files(
        [{"name": "a.txt", "mimeType": "text/plain", "buffer": b"abc"}],
    )
    expect(page.locator(".uploads li")).to_have_count(1)
    expect(page.locator(".uploads .chip")).to_contain_text("parsing")
    assert canned.uploads == [("a.txt", "legal", 3)]


def test_delete_asks_first_and_then_removes(serve_canned, open_page):
    canned, address = serve_canned()
    page, _ = open_page(address, path="/#/library")
    bin_ = page.get_by_role("button", name="Delete Handbook page file-0000.md")
    bin_.click()
    page.get_by_role("button", name="Keep it").click()
    expect(page.locator("dialog.modal")).to_have_count(0)
    assert len(canned.rows) == 3
    bin_.click()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.locator(".document")).to_have_count(2)
    assert [row["id"] for row in canned.rows] == ["file-0001.md", "file-0002.md"]


def test_document_opens_to_its_text_or_its_reason(serve_canned, open_page):
    _, address = serve_canned()
    page, _ = open_page(address, path="/#/library")
    page.get_by_role("button", name="Handbook page file-0002.md", exact=True).click()
    expect(page.locator(".doc-text")).to_have_text("Text of file-0002.md")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Handbook page file-0001.md", exact=True).click()
    expect(page.locator(".reader .notice")).to_contain_text("encrypted")


def test_five_thousand_documents_come_in_pages(serve_canned, open_page):
    canned, address = serve_canned(num_documents=5000)
    page, _ = open_page(address, path="/#/library")
    expect(page.locator(".document")).to_have_count(100)
    assert [asked["limit"] for asked in canned.listings] == ["100"]
    page.get_by_role("button", name="Show more").click()
    expect(page.locator(".document")).to_have_count(200)
    page.get_by_role("searchbox").fill("file-4999")
    expect(page.locator(".document")).to_have_count(1)
    expect(page.locator(".document")).to_contain_text("file-4999.md")
    page.get_by_role("searchbox").fill("no such name")
    expect(page.locator(".empty")).to_contain_text("No document matches")
    assert max(int(asked["limit"]) for asked in canned.listings) == 500


def test_polling_is_live_and_leaves_focus_and_unchanged_rows_alone(serve_canned, open_page):
    canned, address = serve_canned()
    canned.rows[2] |= {"state": "embedding", "num_chunks": 0}
    page, _ = open_page(address, path="/#/library")
    expect(page.locator(".progress")).to_have_attribute("aria-valuenow", "2")
    page.get_by_role("button", name="Delete Handbook page file-0002.md").focus()
    page.evaluate("document.querySelector('.document').dataset.same = 'yes'")
    canned.rows[2] |= {"state": "searchable", "num_chunks": 7}
    expect(page.locator(".document").nth(2)).to_contain_text("searchable")
    expect(page.locator(".progress")).to_be_hidden()
    assert page.locator(".document").first.get_attribute("data-same") == "yes"
    focused = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert focused == "Delete Handbook page file-0002.md"


def test_unreachable_server_is_said_and_recovered_from(serve_canned, open_page):
    canned, address = serve_canned()
    page, _ = open_page(address, path="/#/library", allowed=("ERR_FAILED",))
    expect(page.locator(".document")).to_have_count(3)
    page.route("**/v1/status", lambda route: route.abort())
    canned.rows.pop()
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.get_by_role("alert")).to_contain_text("Steelyard doesn't answer at this address.")
    expect(page.locator(".document")).to_have_count(3)
    page.unroute("**/v1/status")
    page.get_by_role("button", name="Retry").click()
    expect(page.locator(".document")).to_have_count(2)
    expect(page.get_by_role("alert")).to_be_empty()


def test_polling_stops_when_the_view_is_left(serve_canned, open_page):
    _, address = serve_canned()
    page, watch = open_page(address, path="/#/library")
    expect(page.locator(".document")).to_have_count(3)
    page.clock.install()
    page.reload()
    expect(page.locator(".document")).to_have_count(3)
    page.get_by_role("link", name="About").click()
    expect(page.get_by_text("all-MiniLM-L6-v2 int8")).to_be_visible()
    before = len(watch.requests)
    page.clock.run_for(60_000)
    assert watch.requests[before:] == []
    page.get_by_role("link", name="Library").click()
    expect(page.locator(".document")).to_have_count(3)
    for _ in range(100):  # the next poll is set when the last was answered
        polls = [url for url in watch.requests[before:] if url.endswith("/v1/status")]
        if len(polls) >= 2:
            return
        page.clock.run_for(3_000)
        page.wait_for_timeout(50)
    raise AssertionError(f"polling did not go on: {watch.requests[before:]}")

"""Asking: the stream, citations with code-point offsets, endings of every kind."""

from playwright.sync_api import Page, expect


def ask(page: Page, question: str) -> None:
    box = page.get_by_role("textbox", name="Question")
    box.fill(question)
    box.press("Enter")


def ended(page: Page, ending: str = "done") -> None:
    expect(page.locator(".turn").last).to_have_attribute("data-ending", ending)


def test_answer_streams_in_pieces_and_ends_whole(serve_canned, open_page):
    canned, address = serve_canned(pause_s=0.02)
    page, _ = open_page(address)
    page.evaluate(
        """() => {
          window.lengths = new Set();
          new MutationObserver(() => {
            const answer = document.querySelector(".answer");
            if (answer) window.lengths.add(answer.textContent.length);
          }).observe(document.body, { subtree: true, childList: true, characterData: true });
        }"""
    )
    ask(page, "How many days?")
    ended(page)
    assert len(page.evaluate("[...window.lengths]")) > 5
    assert "The moon is made of cheese." in page.locator(".answer").inner_text()
    assert canned.queries == [{"query": "How many days?", "stream": True}]


def test_markup_in_an_answer_stays_text(serve_canned, open_page):
    _, address = serve_canned(pause_s=0)
    page, _ = open_page(address)
    ask(page, "How many days?")
    ended(page)
    answer = page.locator(".answer")
    assert "<img src=x onerror=alert(1)> is text" in answer.inner_text()
    assert answer.locator("img").count() == 0
    assert answer.locator("strong").inner_text() == "28 days"
    assert answer.locator("li code").inner_text() == "people@example.com"


def test_each_marker_lights_its_own_quote_behind_emoji(serve_canned, open_page, cited):
    _, address = serve_canned(pause_s=0)
    page, _ = open_page(address)
    ask(page, "How many days?")
    ended(page)
    markers = page.locator(".answer button.cite")
    assert markers.all_inner_texts() == ["1", "1", "2"]
    for index, quote in [(0, cited["first"]), (1, cited["second"])]:
        markers.nth(index).click()
        lit = page.locator(".reader .lit")
        expect(lit).to_have_text(quote)
        expect(lit).to_be_in_viewport()
    expect(page.locator(".reader .also")).to_have_text(cited["first"])
    assert page.locator(".reader h2").inner_text().endswith("Leave/2026?.Md")
    assert "page 3" in page.locator(".reader .uri").inner_text()


def test_reader_widens_to_the_whole_text_and_escape_returns_focus(serve_canned, open_page, cited):
    _, address = serve_canned(pause_s=0)
    page, _ = open_page(address)
    ask(page, "How many days?")
    ended(page)
    page.locator(".answer button.cite").first.click()
    expect(page.locator(".reader .lit")).to_be_visible()
    for name in ("Show earlier text", "Show more text"):
        button = page.get_by_role("button", name=name)
        while button.is_visible():
            button.click()
    assert page.locator(".doc-text").evaluate("node => node.textContent") == cited["text"]
    page.keyboard.press("Escape")
    expect(page.locator(".reader")).to_be_hidden()
    expect(page.locator(".answer button.cite").first).to_be_focused()


def test_copied_link_opens_the_same_words(serve_canned, open_page, cited):
    _, address = serve_canned(pause_s=0)
    page, _ = open_page(address, permissions=["clipboard-read", "clipboard-write"])
    ask(page, "How many days?")
    ended(page)
    page.locator(".answer button.cite").first.click()
    page.get_by_role("button", name="Copy link").click()
    expect(page.locator(".toasts")).to_contain_text("Link copied")
    link = page.evaluate("navigator.clipboard.readText()")
    fresh, _ = open_page(address, path=link.removeprefix(address))
    expect(fresh.locator(".reader .lit")).to_have_text(cited["first"])


def test_changed_document_lights_the_quote_where_it_is_now(serve_canned, open_page, cited):
    canned, address = serve_canned(pause_s=0)
    canned.texts["leave/2026?.md"] = "New first line 🌵.\n" + cited["text"]
    page, _ = open_page(address)
    ask(page, "How many days?")
    ended(page)
    page.locator(".answer button.cite").first.click()
    expect(page.locator(".reader .lit")).to_have_text(cited["first"])
    expect(page.locator(".reader .notice")).to_contain_text("has changed since")
    page.keyboard.press("Escape")
    canned.texts["leave/2026?.md"] = "Rewritten."
    page.locator(".answer button.cite").first.click()
    expect(page.locator(".reader blockquote")).to_have_text(cited["first"])
    expect(page.locator(".reader .doc-text")).to_have_text("Rewritten.")
    assert page.locator(".reader .lit").count() == 0


def test_deleted_document_says_so_and_keeps_the_quote(serve_canned, open_page, cited):
    canned, address = serve_canned(pause_s=0)
    page, _ = open_page(address, allowed=("404",))
    ask(page, "How many days?")
    ended(page)
    canned.texts.clear()
    page.locator(".answer button.cite").first.click()
    expect(page.locator(".reader .notice")).to_contain_text("This document is gone")
    expect(page.locator(".reader blockquote")).to_have_text(cited["first"])


def test_cards_unsupported_sentence_and_timings_are_shown(serve_canned, open_page, cited):
    _, address = serve_canned(pause_s=0)
    page, _ = open_page(address)
    ask(page, "How many days?")
    ended(page)
    expect(page.locator(".answer .unsupported")).to_have_text("The moon is made of cheese.")
    expect(page.locator(".legend")).to_contain_text("1 sentence without support")
    cards = page.locator(".sources > .cards > .card")
    assert cards.evaluate_all("cards => cards.map(card => card.dataset.n)") == ["1", "2"]
    assert cards.first.locator("mark").all_inner_texts() == [cited["first"], cited["second"]]
    assert page.get_by_text("1 passage read but not quoted").is_visible()
    page.locator("details.how summary").click()
    rows = page.locator(".waterfall tr").all_inner_texts()
    assert any("search by words" in row and "2.10 ms" in row for row in rows)
    assert any("seen here after" in row for row in rows)
    assert page.get_by_text("812 tokens read, 64 written").is_visible()


def test_documents_that_do_not_tell_have_a_calm_verdict(serve_canned, open_page):
    _, address = serve_canned(pause_s=0)
    page, _ = open_page(address)
    ask(page, "unanswerable?")
    ended(page)
    expect(page.locator(".verdict")).to_contain_text("The documents don't tell")
    assert page.locator(".answer").is_hidden()  # it would say the same a second time
    expect(page.locator(".notice.warn")).to_contain_text("lexical timeout")
    assert page.locator(".turn .notice.bad").count() == 0


def test_feedback_is_sent_with_its_comment(serve_canned, open_page):
    canned, address = serve_canned(pause_s=0)
    page, _ = open_page(address)
    ask(page, "How many days?")
    ended(page)
    page.get_by_role("button", name="Bad answer").click()
    page.get_by_role("textbox", name="Comment").fill("the moon?")
    page.keyboard.press("Enter")
    expect(page.locator(".toasts")).to_contain_text("noted")
    assert canned.feedback == [
        {"answer_id": "answer-1", "rating": "down", "comment": ""},
        {"answer_id": "answer-1", "rating": "down", "comment": "the moon?"},
    ]


def test_a_bad_answer_can_be_corrected_on_the_page(serve_canned, open_page):
    canned, address = serve_canned(pause_s=0)
    page, _ = open_page(address)
    ask(page, "How many days?")
    ended(page)
    page.get_by_role("button", name="Bad answer").click()
    page.get_by_role("button", name="Correct it").click()
    better = page.get_by_role("textbox", name="Corrected answer")
    assert "28 days" in better.input_value()
    better.fill("It is 30 days [1].")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator(".toasts")).to_contain_text("noted")
    assert canned.feedback[-1] == {
        "answer_id": "answer-1",
        "rating": "down",
        "comment": "",
        "correction": "It is 30 days [1].",
    }


def test_escape_stops_the_stream_and_keeps_what_came(serve_canned, open_page):
    _, address = serve_canned(pause_s=0)
    page, _ = open_page(address)
    ask(page, "endless?")
    expect(page.locator(".answer")).to_contain_text("28 days")
    page.keyboard.press("Escape")
    ended(page, "stopped")
    expect(page.locator(".turn .notice")).to_contain_text("not the whole answer")
    assert "28 days" in page.locator(".answer").inner_text()
    assert page.get_by_role("button", name="Ask", exact=True).is_visible()


def test_error_event_and_lost_connection_keep_the_text_and_retry(serve_canned, open_page):
    canned, address = serve_canned(pause_s=0.005)
    page, _ = open_page(address, allowed=("ERR_INCOMPLETE_CHUNKED_ENCODING",))
    for question, words in [
        ("error?", "The model stalled."),
        ("drop?", "The connection broke off before the answer was finished."),
    ]:
        ask(page, question)
        ended(page, "failed")
        turn = page.locator(".turn").last
        expect(turn.get_by_role("alert")).to_contain_text(words)
        assert "28 days" in turn.locator(".answer").inner_text()
    page.get_by_role("button", name="Retry").last.click()
    expect(page.locator(".turn").last).to_have_attribute("data-ending", "running")
    ended(page, "failed")
    assert [query["query"] for query in canned.queries] == ["error?", "drop?", "drop?"]


def test_busy_server_says_when_to_try_again(serve_canned, open_page):
    _, address = serve_canned()
    page, _ = open_page(address, allowed=("503",))
    ask(page, "busy?")
    ended(page, "failed")
    expect(page.get_by_role("alert")).to_contain_text("All permits are taken. It is busy. Try")
    expect(page.get_by_role("alert")).to_contain_text("in 7 s")


def test_key_is_asked_for_refused_and_kept(serve_canned, open_page):
    _, address = serve_canned(key="secret", pause_s=0)
    page, _ = open_page(address, allowed=("401",))
    page.get_by_label("API key", exact=True).fill("wrong")
    page.get_by_role("button", name="Use this key").click()
    expect(page.get_by_text("The server refused that key.")).to_be_visible()
    page.get_by_label("API key", exact=True).fill("secret")
    page.get_by_role("button", name="Use this key").click()
    expect(page.locator("dialog.modal")).to_have_count(0)
    ask(page, "How many days?")
    ended(page)
    page.reload()
    ask(page, "Again?")
    ended(page)
    assert page.locator("dialog.modal").count() == 0


def test_reload_keeps_this_sessions_answers_and_their_citations(serve_canned, open_page, cited):
    _, address = serve_canned(pause_s=0)
    page, _ = open_page(address)
    for question in ("How many days?", "unanswerable?"):
        ask(page, question)
        expect(page.locator(".question").last).to_have_text(question)
        ended(page)
    page.reload()
    assert page.locator(".question").all_inner_texts() == ["How many days?", "unanswerable?"]
    page.locator(".answer button.cite").first.click()
    expect(page.locator(".reader .lit")).to_have_text(cited["first"])


def test_keyboard_alone_asks_edits_and_reaches_the_source(serve_canned, open_page):
    canned, address = serve_canned(pause_s=0)
    page, _ = open_page(address)
    page.get_by_role("link", name="Steelyard, home").focus()
    page.keyboard.press("/")
    page.keyboard.type("First line")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("second line")
    page.keyboard.press("Enter")
    ended(page)
    assert canned.queries[0]["query"] == "First line\nsecond line"
    page.keyboard.press("ArrowUp")
    expect(page.get_by_role("textbox", name="Question")).to_have_value("First line\nsecond line")
    page.locator(".answer button.cite").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".reader .lit")).to_be_visible()


def test_collection_picker_appears_only_with_a_choice(serve_canned, open_page):
    canned, address = serve_canned(pause_s=0, collections=["default", "legal"])
    page, _ = open_page(address)
    page.get_by_role("combobox", name="Collection").select_option("legal")
    ask(page, "How many days?")
    ended(page)
    assert canned.queries[0]["collection"] == "legal"
    _, alone = serve_canned()
    single, _ = open_page(alone)
    expect(single.locator(".example").first).to_be_visible()
    assert single.locator(".composer select").is_hidden()


def test_empty_home_invites_to_add_documents(serve_canned, open_page):
    _, address = serve_canned(num_documents=0)
    page, _ = open_page(address)
    page.get_by_role("link", name="Add documents").click()
    expect(page.get_by_role("heading", name="The library is empty")).to_be_visible()


def test_first_visit_offers_questions_that_can_be_asked_at_once(serve_canned, open_page):
    canned, address = serve_canned(pause_s=0)
    page, _ = open_page(address)
    page.get_by_role("button", name="What does “Handbook page file-0000.md” say?").click()
    ended(page)
    assert canned.queries[0]["query"] == "What does “Handbook page file-0000.md” say?"
    _, proposing = serve_canned(examples=["How many days of leave do I get?"])
    proposed, _ = open_page(proposing)
    button = proposed.get_by_role("button", name="How many days of leave do I get?")
    expect(button).to_be_visible()


def test_question_of_a_second_turn_stands_below_the_header(serve_canned, open_page):
    _, address = serve_canned(pause_s=0)
    page, _ = open_page(address, reduced_motion="reduce")
    for question in ("How many days?", "unanswerable?"):
        ask(page, question)
        expect(page.locator(".question").last).to_have_text(question)
        ended(page)
    top = page.locator(".question").last.bounding_box()["y"]
    header = page.locator(".top").bounding_box()
    assert header["height"] < top < header["height"] + 60


def test_asking_while_a_source_closes_keeps_the_focus_in_the_box(serve_canned, open_page):
    _, address = serve_canned(pause_s=0)
    page, _ = open_page(address)
    ask(page, "How many days?")
    ended(page)
    page.locator(".answer button.cite").first.click()
    expect(page.locator(".reader .lit")).to_be_visible()
    page.evaluate(
        """() => {
          document.querySelector(".reader").close();
          document.getElementById("question").focus();
          return new Promise((resolve) => setTimeout(resolve, 50));
        }"""
    )
    expect(page.get_by_role("textbox", name="Question")).to_be_focused()

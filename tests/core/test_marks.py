from steelyard.core.marks import marked_sentences, renumbered, without_marks


def test_a_mark_in_any_usual_form_leaves_the_text():
    text = "It opens at 9 [1]. It closes at 5 【2†page】 and rests [Source 3; 4]."
    assert " ".join(without_marks(text).split()) == "It opens at 9 . It closes at 5 and rests ."


def test_a_link_and_a_word_in_brackets_are_no_marks():
    text = "See [1](https://example.org) and [sic]."
    assert without_marks(text) == text


def test_each_sentence_has_its_own_marks_in_order():
    text = "Nine o'clock [2][1]. Five. [3-5]\n\nNobody knows."
    found = [(" ".join(one.text.split()), one.cited) for one in marked_sentences(text)]
    assert found == [("Nine o'clock .", (2, 1)), ("Five.", (3, 4, 5)), ("Nobody knows.", ())]


def test_places_hold_the_sentence_with_its_marks():
    text = "Nine [2]. Five. [3]"
    pieces = [text[one.start : one.end] for one in marked_sentences(text)]
    assert pieces == ["Nine [2].", "Five. [3]"]


def test_marks_are_renumbered_and_those_without_a_new_number_go():
    text = "Kept for 21 days [2]. By the guard [1, 3].\n- and at noon [3]"
    assert renumbered(text, {2: 1, 3: 4}) == (
        "Kept for 21 days [1]. By the guard [4].\n- and at noon [4]"
    )
    assert renumbered(text, {}) == "Kept for 21 days. By the guard.\n- and at noon"

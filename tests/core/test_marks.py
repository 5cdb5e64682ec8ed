from steelyard.core.marks import marked_sentences, without_marks


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

"""Our own parsers of marked-up text and mail, each on a sample written by hand."""

from tests.parse.drafts import C, H, L, P, T, shape

from steelyard.parse import (
    asciidoc,
    html,
    mail,
    markdown,
    rst,
    tex,
)

# Markdown

MARKDOWN = """\
---
title: "Returns"
tags: [shop, money]
owner:
  name: nested is left out
authors:
  - Ada
  - Bo
---
<!-- no reader sees this -->
# Returns policy { #returns }

A first paragraph
on two lines.

Setext
------

* one
  more of one

  still one
* two
    1. inner

| Day | Fee |
|-----|----:|
| 1   | 0   |
| 2   | 5   |
After the table.

```python
def f():

    return "# no heading"
```

    indented code

---
### Closed ###
> quoted
"""


def test_markdown_keeps_headings_lists_tables_and_code_whole() -> None:
    assert shape(markdown.parse(MARKDOWN)) == [
        (H, 1, "Returns policy"),
        (P, 0, "A first paragraph\non two lines."),
        (H, 2, "Setext"),
        (L, 0, "* one\n  more of one\n\n  still one\n* two\n    1. inner"),
        (T, 0, "| Day | Fee |\n|-----|----:|\n| 1   | 0   |\n| 2   | 5   |"),
        (P, 0, "After the table."),
        (C, 0, '```python\ndef f():\n\n    return "# no heading"\n```'),
        (C, 0, "    indented code"),
        (H, 3, "Closed"),
        (P, 0, "> quoted"),
    ]


def test_front_matter_becomes_metadata_and_leaves_the_text() -> None:
    draft = markdown.parse(MARKDOWN)
    assert draft.title == "Returns"
    assert draft.metadata == {
        "title": "Returns",
        "tags": ["shop", "money"],
        "authors": ["Ada", "Bo"],
    }
    assert "owner" not in draft.text


def test_markdown_without_front_matter_is_its_own_text() -> None:
    source = "# A `b` [c](d)\n\ntext\n"
    draft = markdown.parse(source)
    assert draft.text == source
    assert draft.title == "A b c"


def test_a_fence_that_never_closes_runs_to_the_end() -> None:
    assert shape(markdown.parse("a\n\n```\ncode\n# code\n\n")) == [
        (P, 0, "a"),
        (C, 0, "```\ncode\n# code"),
    ]


def test_a_shorter_fence_inside_does_not_close_a_longer_one() -> None:
    source = "````\n```\ninner\n```\n````\n\nafter"
    assert shape(markdown.parse(source)) == [
        (C, 0, source[: source.index("\n\nafter")]),
        (P, 0, "after"),
    ]


def test_a_list_with_code_is_one_block() -> None:
    source = "1. Run\n\n   ```\n   make\n\n   # no heading\n   ```\n\n2. Done"
    assert shape(markdown.parse(source)) == [(L, 0, source)]


def test_a_title_is_the_outermost_heading() -> None:
    assert markdown.parse("## Later\n\n# Title\n\n## More").title == "Title"


# reStructuredText

RST = """\
:author: Ada
:date: 2024-01-02

=====
Guide
=====

Intro text::

    literal
    block

Start
-----

.. code-block:: python

    x = 1

    y = 2

.. note::

   Mind the gap.

- one
- two
  more

=====  ====
Key    Use
=====  ====
a      b
=====  ====

+---+---+
| 1 | 2 |
+---+---+

.. _target: http://example.org
.. toctree::
   :maxdepth: 2

   other

Deeper
~~~~~~
End.
"""


def test_rst_keeps_headings_code_lists_and_tables_whole() -> None:
    draft = rst.parse(RST)
    assert shape(draft) == [
        (P, 0, ":author: Ada\n:date: 2024-01-02"),
        (H, 1, "Guide"),
        (P, 0, "Intro text::"),
        (C, 0, "    literal\n    block"),
        (H, 2, "Start"),
        (C, 0, ".. code-block:: python\n\n    x = 1\n\n    y = 2"),
        (P, 0, ".. note::"),
        (P, 0, "Mind the gap."),
        (L, 0, "- one\n- two\n  more"),
        (T, 0, "=====  ====\nKey    Use\n=====  ====\na      b\n=====  ===="),
        (T, 0, "+---+---+\n| 1 | 2 |\n+---+---+"),
        (H, 3, "Deeper"),
        (P, 0, "End."),
    ]
    assert draft.text == RST
    assert draft.title == "Guide"
    assert draft.metadata == {"author": "Ada", "date": "2024-01-02"}


# AsciiDoc

ASCIIDOC = """\
= Manual
:author: Ada

Preface.

== Install
// unseen
* one
* two

[source,sh]
----
make

install
----

|===
|A |B

|1 |2
|===
////
hidden
////
"""


def test_asciidoc_keeps_headings_lists_listings_and_tables_whole() -> None:
    draft = asciidoc.parse(ASCIIDOC)
    assert shape(draft) == [
        (H, 1, "Manual"),
        (P, 0, "Preface."),
        (H, 2, "Install"),
        (L, 0, "* one\n* two"),
        (C, 0, "----\nmake\n\ninstall\n----"),
        (T, 0, "|===\n|A |B\n\n|1 |2\n|==="),
    ]
    assert draft.metadata == {"author": "Ada"}
    assert draft.title == "Manual"


# TeX

TEX = r"""
\documentclass{article}
\title{On \emph{Balances}}
\author{Ada}
\begin{document}
\section{Weights} \label{sec:w}
Fifty \% of it. % a comment
More.

\begin{tabular}{ll}
a & b \\

c & d
\end{tabular}
\begin{itemize}
\item one
\end{itemize}
\subsection*{Inner}
\begin{equation}
x = 1
\end{equation}
\end{document}
"""


def test_tex_keeps_sections_tables_lists_and_formulas_whole() -> None:
    draft = tex.parse(TEX)
    assert shape(draft) == [
        (H, 2, "Weights"),
        (P, 0, "Fifty \\% of it. \nMore."),
        (T, 0, "\\begin{tabular}{ll}\na & b \\\\\n\nc & d\n\\end{tabular}"),
        (L, 0, "\\begin{itemize}\n\\item one\n\\end{itemize}"),
        (H, 3, "Inner"),
        (C, 0, "\\begin{equation}\nx = 1\n\\end{equation}"),
    ]
    assert draft.metadata == {"author": "Ada"}
    assert "Balances" in draft.title
    assert "documentclass" not in draft.text


# HTML


def test_html_reads_as_a_person_sees_it() -> None:
    source = """<html><head><title>Shop &amp; Co</title><meta name="author" content="Ada">
    <style>p {}</style></head><body><nav><a>Home</a> <a>About</a></nav>
    <h1>Scales</h1><p>We sell<br>fine <b>scales</b>.<p>Second.
    <ul><li>one<li>two<ul><li>inner</ul></ul>
    <table><tr><th>Day<th>Fee<tr><td>1<td>0</table>
    <pre>  keep
      this</pre><script>alert("x")</script><div hidden>secret</div>
    <div style="display: none">secret</div><p aria-hidden="true">secret</p></body></html>"""
    draft = html.parse(source)
    assert shape(draft) == [
        (H, 1, "Scales"),
        (P, 0, "We sell\nfine scales."),
        (P, 0, "Second."),
        (L, 0, "- one\n- two\n  - inner"),
        (T, 0, "| Day | Fee |\n| --- | --- |\n| 1 | 0 |"),
        (C, 0, "  keep\n      this"),
    ]
    assert draft.title == "Shop & Co"
    assert draft.metadata == {"author": "Ada"}


def test_what_follows_a_hidden_paragraph_is_seen() -> None:
    assert html.parse("<p style='display:none'>no<p>yes").text == "yes"
    assert html.parse("<div><span hidden>no<b>no</span>yes</div>").text == "yes"


def test_html_of_any_depth_is_read() -> None:
    assert html.parse("<div>" * 50_000 + "deep" + "</div>" * 50_000).text == "deep"
    assert html.parse("<b>" * 50_000 + "deep").text == "deep"
    assert html.parse("</div>" * 50_000 + "<p>deep").text == "deep"


def test_a_table_inside_a_cell_gives_its_words_to_the_cell() -> None:
    source = "<table><tr><td>a<td><table><tr><td>b<td>c</table></table>"
    assert html.parse(source).text == "| a | b c |"


def test_navigation_that_lists_whole_titles_is_kept() -> None:
    menu = "<nav><ul><li>Home<li>News</ul></nav>"
    related = "<nav><ul><li>How to weigh a feather in a strong wind</ul></nav>"
    assert html.parse(menu + "<p>text").text == "text"
    assert "feather" in html.parse(related + "<p>text").text


# Mail

MAIL = b"""From: Ada <ada@example.org>
To: bo@example.org
Subject: =?utf-8?q?Caf=C3=A9_order?=
Date: Tue, 2 Jan 2024 10:00:00 +0000
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=cut

--cut
Content-Type: text/html; charset=latin-1

<p>Two cups, s\xe9v\xe8re.</p><script>x</script>
--cut
Content-Type: application/pdf; name="bill.pdf"
Content-Disposition: attachment; filename="bill.pdf"

x
--cut--
"""


def test_a_mail_reads_as_headers_body_and_attachments() -> None:
    draft = mail.parse(MAIL)
    assert shape(draft) == [
        (H, 1, "Café order"),
        (
            P,
            0,
            "From: Ada <ada@example.org>\nTo: bo@example.org\n"
            "Date: Tue, 02 Jan 2024 10:00:00 +0000",
        ),
        (P, 0, "Two cups, sévère."),
        (P, 0, "Attachments: bill.pdf"),
    ]
    assert draft.title == "Café order"
    assert draft.metadata["created"] == "2024-01-02T10:00:00+00:00"
    assert draft.metadata["attachments"] == ["bill.pdf"]


def test_a_header_that_the_standard_library_trips_over_is_read_raw() -> None:
    draft = mail.parse(b"From: a\n    = T\x85. . . . .::\nSubject: s\n\nbody")
    assert draft.title == "s"
    assert draft.text.endswith("body")

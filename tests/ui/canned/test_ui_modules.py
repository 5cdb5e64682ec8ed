"""The page's own modules, run in the browser: offsets, events, Markdown, timings."""

import json
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from steelyard.ui import STATIC

WIDE = st.text(
    st.sampled_from("ab \n*`[]123【】-#>0̈é漢😀👩\u200d🚀𝔉\u2028") | st.characters(codec="utf-8"),
    max_size=60,
)
ECONOMICAL = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def run(browser, serving):
    """Return a function that calls an exported function of one of the modules."""
    from starlette.applications import Starlette
    from starlette.responses import HTMLResponse
    from starlette.routing import Mount, Route
    from starlette.staticfiles import StaticFiles

    shell = '<div class="toasts"></div><dialog id="reader"></dialog>'
    app = Starlette(
        routes=[
            Route("/", lambda _: HTMLResponse(shell)),
            Mount("/static", StaticFiles(directory=STATIC)),
        ]
    )
    with serving(app) as address:
        page = browser.new_page()
        page.goto(address)

        def call(module: str, body: str, *arguments):
            code = f"""async (given) => {{
              const module = await import("/static/{module}.js");
              return ({body})(module, ...given);
            }}"""
            return page.evaluate(code, list(arguments))

        yield call
        page.context.close()


@ECONOMICAL
@given(st.lists(st.tuples(WIDE, st.integers(0, 70), st.integers(0, 70)), min_size=1, max_size=40))
def test_code_point_spans_cut_the_same_words_as_python(run, cases):
    cut = run(
        "text",
        """(m, cases) => cases.map(([text, a, b]) => {
          const [from, to] = m.utf16Offsets(text, [a, b]);
          return text.slice(from, to);
        })""",
        [list(case) for case in cases],
    )
    assert cut == [text[a:b] for text, a, b in cases]


@ECONOMICAL
@given(
    st.lists(st.tuples(st.sampled_from(["token", "done"]), WIDE), max_size=6),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.lists(st.integers(0, 600), max_size=12),
)
def test_events_are_the_same_wherever_the_bytes_are_cut(run, events, newline, cuts):
    wire = ": hello" + newline
    for name, text in events:
        payload = json.dumps({"text": text}, ensure_ascii=False)
        wire += f"event: {name}{newline}data: {payload}{newline}{newline}"
    raw = wire.encode()
    edges = [0, *sorted(min(cut, len(raw)) for cut in cuts), len(raw)]
    pieces = [list(raw[a:b]) for a, b in pairwise(edges)]
    got = run(
        "sse",
        """async (m, pieces) => {
          const stream = new ReadableStream({ start(c) {
            for (const piece of pieces) c.enqueue(new Uint8Array(piece));
            c.close();
          } });
          const seen = [];
          for await (const { event, data } of m.readEvents(stream)) seen.push([event, data]);
          return seen;
        }""",
        pieces,
    )
    assert [(name, json.loads(data)["text"]) for name, data in got] == events


RENDER = """(m, source, spans, known) => {
  const box = document.createElement("div");
  const cite = (n) => {
    if (!known.includes(n)) return null;
    const b = document.createElement("button");
    b.textContent = n;
    return b;
  };
  m.renderMarkdown(box, source, { spans, cite });
  return { html: box.innerHTML, text: box.textContent,
           tags: [...new Set([...box.querySelectorAll("*")].map((n) => n.tagName))],
           cites: [...box.querySelectorAll("button")].map((n) => Number(n.textContent)),
           marked: [...box.querySelectorAll(".unsupported")].map((n) => n.textContent).join("") };
}"""
SAFE = {"P", "H3", "UL", "OL", "LI", "PRE", "CODE", "STRONG", "BLOCKQUOTE", "BR", "SPAN", "BUTTON"}


@ECONOMICAL
@given(WIDE | st.text(st.sampled_from("<>&\"'=/ab*`#-[1] \n"), max_size=80))
def test_any_text_renders_to_safe_elements_and_keeps_its_letters(run, source):
    drawn = run("markdown", RENDER, source, [], [1])
    assert set(drawn["tags"]) <= SAFE

    def letters(text: str) -> list[str]:
        return sorted(c for c in text if c.isalpha())

    if "```" not in source and "~~~" not in source:  # a fence's language is not shown
        assert letters(drawn["text"]) == letters(source)


@pytest.mark.parametrize(
    ("source", "html"),
    [
        ("a **b** `c`", "<p>a <strong>b</strong> <code>c</code></p>"),
        ("one\ntwo\n\nthree", "<p>one<br>two</p><p>three</p>"),
        ("- a\n- b\n  - c", "<ul><li>a</li><li>b<ul><li>c</li></ul></li></ul>"),
        ("3. a\n4. b", '<ol start="3"><li>a</li><li>b</li></ol>'),
        ("# T\n> q", "<h3>T</h3><blockquote>q</blockquote>"),
        (
            "```py\n<b> **x** [1]\n```\nz",
            '<pre tabindex="0"><code>&lt;b&gt; **x** [1]</code></pre><p>z</p>',
        ),
        ("**a [1]**", "<p><strong>a <button>1</button></strong></p>"),
        ("5 * 3 ** 2 and __init__", "<p>5 * 3 ** 2 and __init__</p>"),
        ("x [7] [1](http://e)", "<p>x [7] [1](http://e)</p>"),
    ],
)
def test_markdown_subset(run, source, html):
    assert run("markdown", RENDER, source, [], [1, 2, 3])["html"] == html


@pytest.mark.parametrize(
    ("source", "numbers"),
    [
        ("a [1][2]", [1, 2]),
        ("a [1, 3]", [1, 3]),
        ("a [1-3]", [1, 2, 3]),
        ("a [^2]", [2]),
        ("a [Source 1]", [1]),
        ("a 【3†L1】", [3]),
        ("a [2 and 3]", [2, 3]),
        ("a [9]", []),
    ],
)
def test_every_form_of_marker_becomes_buttons(run, source, numbers):
    assert run("markdown", RENDER, source, [], [1, 2, 3])["cites"] == numbers


def test_span_over_markup_underlines_exactly_its_words(run):
    source = "Fine. Not **so** fine [1].\n\n- nor this"
    start = source.index("Not")
    span = {"start": start, "end": len(source)}
    assert run("markdown", RENDER, source, [span], [1])["marked"] == "Not so fine .nor this"


@pytest.mark.parametrize(
    "piece", ["`", "`a", "**a", "**a ", "[1,", "> ", "- ", "``` ", "【1†", "  - a\n"]
)
def test_hostile_answers_render(run, piece):
    """A search that backtracks without bound would outlast the driver's time limit here."""
    source = piece * 20_000
    drawn = run("markdown", RENDER, source, [], [])
    assert drawn["text"].count("a") == source.count("a")


def test_marker_stands_for_the_quote_that_shares_its_words(run):
    citations = [
        {"n": 1, "quote": "Leave is 28 days."},
        {"n": 1, "quote": "Rooms are booked online."},
        {"n": 2, "quote": "Other."},
    ]
    answer = "You book rooms online [1]. You get 28 days of leave [1]."
    found = run(
        "citations",
        """(m, citations, answer) => [...answer.matchAll(/\\[/g)].map((hit) =>
          m.citationFor(citations, 1, answer, hit.index).quote)""",
        citations,
        answer,
    )
    assert found == ["Rooms are booked online.", "Leave is 28 days."]
    assert run("citations", "(m, c) => m.citationFor(c, 3, 'a [3]', 2)", citations) is None


def test_stages_run_beside_each_other_and_unclaimed_time_is_told(run):
    timings = {"embed": 2, "dense": 1, "lexical": 5, "fuse": 1, "fetch": 2, "rerank": 4}
    timings |= {"first_token": 20, "generate": 30, "total": 50}
    placed = run("waterfall", "(m, t) => m.placeStages(t)", timings)
    starts = {bar["stage"]: bar["start"] for bar in placed["bars"]}
    assert starts == {"embed": 0, "dense": 2, "lexical": 0, "fuse": 5, "fetch": 6, "rerank": 8}
    assert (placed["ready"], placed["first"], placed["total"]) == (12, 20, 50)
    assert placed["other"] == 50 - 12 - 30
    placed = run("waterfall", "(m, t) => m.placeStages(t)", timings | {"search": 15})
    assert (placed["ready"], placed["idle"], placed["other"]) == (15, 3, 5)
    whole = {"cache": 2, **timings, "search": 15, "context": 1}
    placed = run("waterfall", "(m, t) => m.placeStages(t)", whole)
    starts = {bar["stage"]: bar["start"] for bar in placed["bars"]}
    assert (starts["cache"], starts["embed"], starts["dense"], starts["fuse"]) == (0, 2, 4, 7)
    assert (starts["context"], placed["ready"]) == (17, 18)
    assert (placed["idleFrom"], placed["idle"]) == (14, 3)
    hit = {"cache": 0.8, "first_token": 0.9, "total": 0.9}
    placed = run("waterfall", "(m, t) => m.placeStages(t)", hit)
    assert (placed["ready"], placed["total"]) == (0.8, 0.9)
    assert run("waterfall", "(m) => m.placeStages({})", 0)["total"] is None


def test_static_files_are_small_and_self_contained():
    sizes = {path.name: path.stat().st_size for path in STATIC.iterdir()}
    docs = {name for name in sizes if name.startswith("docs")}  # that is another page
    costs = {name for name in sizes if name.startswith("costs")}  # loaded when they are opened
    served = {"served.js"}  # loaded with Operations
    first = sizes.keys() - docs - costs - served
    assert sum(sizes[name] for name in first) < 184 * 1024  # 5 views of some 34 KiB each, and more
    assert 0 < sum(sizes[name] for name in costs) < 72 * 1024
    assert 0 < sizes["served.js"] < 8 * 1024
    for path in STATIC.iterdir():
        text = path.read_text(encoding="utf-8")
        assert "innerHTML" not in text
        assert "http://" not in text.replace("http://www.w3.org/2000/svg", "")
        assert "https://" not in text
    shell = (STATIC / "index.html").read_text(encoding="utf-8")
    assert "style=" not in shell
    assert "onclick" not in shell

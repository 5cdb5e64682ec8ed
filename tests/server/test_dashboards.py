"""The dashboard and the alerts in deploy/ ask for metrics that a live server exposes."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

DEPLOY = Path(__file__).parents[2] / "deploy"
DASHBOARD = DEPLOY / "grafana" / "steelyard.json"
RULES = DEPLOY / "prometheus" / "steelyard.rules.yml"
PROMTOOL = shutil.which("promtool")  # Debian: apt install prometheus

PROMETHEUS_OWN = {"up"}
GIVEN_BY_PROMETHEUS = {"job", "instance"}
WORDS = {"by", "without", "on", "ignoring", "group_left", "group_right", "and", "or", "unless"}
SELECTOR = re.compile(r"([a-zA-Z_:][\w:]*)?\{([^}]*)\}")
MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? ")


def dashboard_expressions():
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", [])]


def alert_expressions():
    """Return the expressions of the rules; without a YAML parser, by their indentation."""
    text = RULES.read_text(encoding="utf-8")
    found = re.findall(r"^ {8}expr: (?:\|\n((?: {10}.*\n)+)|(.+)\n)", text, flags=re.MULTILINE)
    return [" ".join((block or line).split()) for block, line in found]


def metric_names(expression):
    """Return the metrics that a PromQL expression reads."""
    bare = re.sub(r'"[^"]*"', "", re.sub(r"\{[^}]*\}|\[[^\]]*\]", "", expression))
    bare = re.sub(r"\b(by|without|on|ignoring)\s*\([^)]*\)", "", bare)
    names = re.findall(r"(?<![\w.$])[a-zA-Z_:][\w:]*(?!\w|\s*\()", bare)
    return set(names) - WORDS


def grouping_labels(expression):
    groups = re.findall(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)", expression)
    return {label.strip() for group in groups for label in group.split(",")}


@pytest.fixture(scope="module")
def scrape(tmp_path_factory):
    """Return {metric: {label: values}} of a server after a few questions, one of them degraded."""
    from starlette.testclient import TestClient

    from steelyard.app import open_app
    from steelyard.server import build

    flags = {"embed.model": "hashing", "llm.url": "http://127.0.0.1:9", "llm.model": "absent"}
    app = open_app(tmp_path_factory.mktemp("dashboards") / "home", flags=flags)
    try:
        with TestClient(build(app), base_url="http://127.0.0.1:8080") as client:
            client.put("/v1/documents/a?wait=true", json={"text": "# Leave\n\n28 days a year."})
            for question in ("How many days?", "How many days?", "What is the moon made of?"):
                assert client.post("/v1/query", json={"query": question}).status_code == 200
            text = client.get("/metrics").text
    finally:
        app.close()
    found = {}
    for line in text.splitlines():
        sample = SAMPLE.match(line)
        if sample is not None:
            labels = found.setdefault(sample[1], {})
            for label, value in re.findall(r'(\w+)="([^"]*)"', sample[2] or ""):
                labels.setdefault(label, set()).add(value)
    return found


@pytest.mark.parametrize("expression", dict.fromkeys(dashboard_expressions() + alert_expressions()))
def test_every_expression_reads_metrics_and_labels_that_exist(scrape, expression):
    names = metric_names(expression)
    assert names
    assert names - PROMETHEUS_OWN - set(scrape) == set()
    for metric, matchers in SELECTOR.findall(expression):
        if metric in PROMETHEUS_OWN:
            continue
        for label, operator, value in MATCHER.findall(matchers):
            if label in GIVEN_BY_PROMETHEUS:
                continue
            assert label in scrape[metric], f"{metric} has no label {label}"
            if operator == "=":
                assert value in scrape[metric][label]
            if operator == "=~":
                assert all(part in scrape[metric][label] for part in value.split("|"))
    known = {label for metric in names - PROMETHEUS_OWN for label in scrape[metric]}
    assert grouping_labels(expression) <= known | GIVEN_BY_PROMETHEUS


def test_names_are_found_in_promql():
    expression = (
        'histogram_quantile(0.95, sum by (le, stage) (rate(a_bucket{job=~"$job"}[5m]))) '
        "/ on (instance) group_left max(b_total) > 1e3 and c:d == 0"
    )
    assert metric_names(expression) == {"a_bucket", "b_total", "c:d"}
    assert grouping_labels(expression) == {"le", "stage", "instance"}


def test_there_is_something_to_check_in_both_files():
    assert len(dashboard_expressions()) >= 30
    assert len(alert_expressions()) == RULES.read_text(encoding="utf-8").count("- alert:") >= 6


def test_what_must_be_seen_is_on_the_dashboard():
    read = set().union(*(metric_names(expression) for expression in dashboard_expressions()))
    assert {
        "steelyard_stage_seconds_bucket",
        "steelyard_first_token_seconds_bucket",
        "steelyard_cache_total",
        "steelyard_batch_items_count",
        "steelyard_queue_depth",
        "steelyard_admission_total",
        "steelyard_event_loop_lag_seconds_bucket",
        "steelyard_ingest_lag_seconds",
        "process_resident_memory_bytes",
    } <= read


def test_panels_do_not_overlap_and_have_ids_of_their_own():
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = set()
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not taken & cells, panel["title"]
        taken |= cells


@pytest.mark.skipif(PROMTOOL is None, reason="no promtool (Debian: apt install prometheus)")
def test_promtool_accepts_the_configuration_and_the_alerts_fire():
    folder = RULES.parent
    for command in (
        ["check", "config", folder / "prometheus.yml"],
        ["test", "rules", folder / "steelyard.rules.test.yml"],
    ):
        done = subprocess.run(
            [PROMTOOL, *command], capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(PROMTOOL is None, reason="no promtool (Debian: apt install prometheus)")
def test_promtool_parses_every_expression_of_the_dashboard(tmp_path):
    rules = []
    for number, expression in enumerate(dashboard_expressions()):
        plain = expression.replace("$__rate_interval", "5m")
        rules.append({"record": f"panel:{number}", "expr": plain})
    path = tmp_path / "panels.json"  # JSON is YAML
    path.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}), encoding="utf-8")
    done = subprocess.run(
        [PROMTOOL, "check", "rules", path], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.exposition import generate_latest

from steelyard.server.series import Series

BOUNDS = (0.001, 0.01, 0.5, 2.0)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["embed", 'a "quoted" \\ name\n', "total"]),
            st.sampled_from(BOUNDS) | st.floats(0, 10),
        ),
        max_size=40,
    )
)
def test_what_is_exposed_is_what_the_clients_own_histogram_exposes(observations):
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    series = Series("x_seconds", "text", label="stage", bounds=BOUNDS, registry=ours)
    histogram = Histogram("x_seconds", "text", ["stage"], buckets=BOUNDS, registry=theirs)
    for stage, value in observations:
        series.observe({stage: value})
        histogram.labels(stage).observe(value)

    def samples(registry):
        lines = generate_latest(registry).decode().splitlines()
        return [line for line in lines if "_created" not in line]

    assert samples(ours) == samples(theirs)


def test_known_labels_are_exposed_as_zero_from_the_start():
    registry = CollectorRegistry()
    Series("x", "text", label="cache", bounds=BOUNDS, registry=registry, known=("hit", "miss"))
    text = generate_latest(registry).decode()
    assert 'x_count{cache="hit"} 0.0' in text
    assert 'x_bucket{cache="miss",le="+Inf"} 0.0' in text

"""What may not change by accident: public names, options, error codes, floors."""

import subprocess
import sys
from pathlib import Path

import steelyard
from steelyard.core import errors
from steelyard.server.errors import STATUS_BY_CLASS
from steelyard.settings import option_types

ROOT = Path(__file__).parents[2]


def test_the_facade_has_these_names_and_each_resolves():
    assert sorted(steelyard.__all__) == [
        "Added",
        "Answer",
        "Citation",
        "DocumentRow",
        "Done",
        "Failed",
        "InputError",
        "Message",
        "NotFound",
        "SearchResult",
        "SetupError",
        "Sources",
        "State",
        "Steelyard",
        "SteelyardError",
        "Token",
        "UpstreamError",
        "__version__",
    ]
    assert len(steelyard.__all__) <= 20
    for name in steelyard.__all__:
        assert getattr(steelyard, name) is not None


def test_importing_the_package_loads_no_model_code():
    code = (
        "import steelyard, sys; assert not {'onnxruntime', 'numpy', 'usearch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_command_line_starts_without_the_onnx_builder_or_torch():
    code = (
        "import steelyard.cli, sys; "
        "assert not {'onnx', 'torch', 'transformers', 'kreuzberg'} & set(sys.modules), "
        "sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_error_classes_and_codes_are_stable():
    found = {
        kind.__name__: kind.code
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.SteelyardError)
    }
    assert found == {
        "SteelyardError": "internal",
        "InputError": "invalid_input",
        "ParseError": "damaged",
        "NotFound": "not_found",
        "Forbidden": "forbidden",
        "SetupError": "setup",
        "Overloaded": "overloaded",
        "UpstreamError": "upstream",
    }
    assert len(found) <= 10
    listed = {kind for kind, _ in STATUS_BY_CLASS}
    assert all(issubclass(getattr(errors, name), tuple(listed)) for name in found)


def test_a_new_option_is_a_decision():
    frozen = (ROOT / "tests/ratchets/options.txt").read_text(encoding="utf-8").split()
    assert sorted(option_types()) == frozen, "a new knob? say why in the commit, and list it"


def test_nothing_inside_imports_the_facade():
    for path in (ROOT / "src/steelyard").rglob("*.py"):
        if path.name in ("facade.py", "__init__.py") and path.parent.name == "steelyard":
            continue
        text = path.read_text(encoding="utf-8")
        assert "steelyard.facade" not in text, path
        assert "from steelyard import" not in text.replace("from steelyard import ui", ""), path


def test_no_file_outgrows_a_screenful_of_screens():
    sizes = {
        path.relative_to(ROOT).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for path in (ROOT / "src").rglob("*.py")
    }
    assert {name: lines for name, lines in sizes.items() if lines > 400} == {}

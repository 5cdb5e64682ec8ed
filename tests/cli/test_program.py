"""Which verbs there are, and that only the one that runs is loaded."""

import subprocess
import sys

import pytest

from steelyard.cli.program import VERBS, loaded, whole


@pytest.mark.parametrize("name", VERBS)
def test_what_the_programs_help_says_of_a_verb_is_what_the_verb_says(name: str):
    assert loaded(name).help.split("\n\n")[0].replace("\n", " ") == VERBS[name].help
    assert loaded(name).name == name


def test_groups_have_all_their_verbs():
    commands = whole().commands
    assert {"run", "promote", "track"} <= set(commands["tune"].commands)
    assert {"promote", "deploy", "merge"} <= set(commands["registry"].commands)
    assert {"run", "replay"} <= set(commands["eval"].commands)


def test_the_programs_own_help_loads_no_verb():
    code = (
        "import sys; from steelyard.cli import main; sys.argv = ['steelyard', '--help']\n"
        "try: main()\n"
        "except SystemExit as ended: assert not ended.code\n"
        "heavy = {'numpy', 'pydantic', 'starlette', 'steelyard.app', 'steelyard.cli.data'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert all(name in done.stdout for name in VERBS)

"""Made-up runs, as the tests of reports make them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "evals" / "report"))

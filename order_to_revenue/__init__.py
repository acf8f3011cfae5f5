"""The `shop` command as it is installed: one folder, which has the others in it.

In the repository `cli`, `domain` and the rest lie beside this folder. Installed, they lie in it: at
the top of site-packages, names as common as theirs would clash with other packages'. They import
one another by the same names in both places, because their folder comes first on the import path of
`shop` and of the processes that it starts (docs/decisions/0025-one-name-when-installed.md).
"""

import os
import sys
from pathlib import Path

_HERE = Path(__file__).parent


def run() -> None:
    """Run the command line; how it begins and ends is in `cli.start`."""
    others = str(_HERE if (_HERE / "cli").is_dir() else _HERE.parent)
    sys.path.insert(0, others)
    # For the processes that it starts. They are no worse off for a folder `cli` in the current one:
    # without the second variable, Python would look there first.
    known = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = f"{others}{os.pathsep}{known}" if known else others
    os.environ["PYTHONSAFEPATH"] = "1"

    from cli.start import run as shop

    shop()

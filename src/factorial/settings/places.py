"""Where the package, its checkout and its configs lie."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
# The repository that the package is run from; None where it was installed without one
CHECKOUT = root if (root := PACKAGE.parents[1]) and (root / "train.py").is_file() else None
# Beside train.py, or shipped in the package
CONF = CHECKOUT / "conf" if CHECKOUT else PACKAGE / "conf"

"""What several test files share."""

import os

# SciPy reads it once, at its import: its functions then take arrays of all libraries.
os.environ.setdefault("SCIPY_ARRAY_API", "1")

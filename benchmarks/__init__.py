"""What is measured, against whom, and how to run it again: `python -m benchmarks.NAME`.

A package, since another installed distribution ships a top-level `benchmarks` of its own.
"""

import os

# Before numpy is imported: one thread each, so that figures do not depend on the machine's cores.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

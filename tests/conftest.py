"""Settings that every test shares."""

import os

# Two threads that wait for each other are slow on a busy machine; one is as fast for small networks.
os.environ.setdefault("OMP_NUM_THREADS", "1")

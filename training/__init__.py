"""The recipe that makes the ``mini`` checkpoint: synthetic clips, a small SAM 2, one loop."""

"""Speed and memory of oneslice, beside Meta's predictor and transformers: ``make bench``."""

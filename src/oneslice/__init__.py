"""Label one slice of one scan; SAM 2 segments the rest of the study, without training."""

__version__ = "0.1.0"

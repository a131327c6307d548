"""Metrics, the few-shot protocols of the field, data sets, methods and tables."""

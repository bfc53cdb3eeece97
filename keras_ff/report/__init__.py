"""One page about a run: what it was trained with, how it went, and what each layer does."""

from keras_ff.report.run_report import write

__all__ = ["write"]

"""Events become what a person or a program reads: a live view, plain lines, or JSON lines. Talk goes to stderr.

Must not decide anything about the work, and knows no adapter; the words are `core.wording`, the tree is `core.stages`.
rich is imported only where a live view is drawn.
"""

from builder.console.reporters import RecordingReporter, Reporter, choose_mode, make_reporter

__all__ = ["RecordingReporter", "Reporter", "choose_mode", "make_reporter"]

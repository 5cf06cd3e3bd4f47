"""`python -m builder` is `devbox`."""

from builder.cli import main

main()

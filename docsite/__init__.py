"""The documentation as a site, and the reference that is written from the code: `make docs`, `make docs-reference`."""

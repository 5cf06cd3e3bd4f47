"""`python -m docsite`: write docs/reference from the code."""

from docsite.pages import write_pages

if __name__ == "__main__":
    write_pages()

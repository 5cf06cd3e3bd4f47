"""Full-text search over the messages of a store.

    tokens    what of a text can be searched for (pure)          query     what a person typed (pure)
    database  the schema of search.sqlite, and who may write     spelling  words near to one that nobody wrote
    build     messages file -> search.sqlite                     find      search.sqlite -> hits
    lines     one message, read by its place                     show      hits -> terminal or JSON

Reads the messages file up to its committed length and nothing else of a store; writes search.sqlite and its lock only.
"""

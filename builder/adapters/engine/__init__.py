"""The container engine through the Docker SDK. `client` is the door: `from ...engine.client import connect_engine`.

One module per phase: `host` finds the engine, `connection` holds the wire and turns every failure into an EngineError,
`containers`, `resources`, `images`, `export` and `execs` are the verbs, `spec` is the pure translation of a
ServiceSpec, `views` are the nouns that come back. Nobody else imports docker or requests. This file imports nothing, so
that `spec`, `host` and `views` cost no import of the SDK.
"""

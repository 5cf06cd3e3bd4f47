"""The container engine through the Docker SDK. `client` is the door: `from ...engine.client import connect_engine`.

One module per phase: `host` finds the engine, `connection` holds the wire and turns every failure into an EngineError,
`containers`, `resources`, `images`, `registry`, `export` and `execs` are the verbs, `spec` is the pure translation of a
ServiceSpec, `views` are the nouns that come back. Nobody else imports docker or requests. This file imports nothing of
either, so that `spec`, `host` and `views` cost no import of the SDK.
"""

import sys

# The SDK loads paramiko, 80 ms of each verb, for engines behind ssh://, which `host` refuses. It does without where
# this module of it cannot be imported; None says so to Python (docs.python.org, "The import system", the module cache).
sys.modules.setdefault("docker.transport.sshconn", None)  # type: ignore[arg-type]

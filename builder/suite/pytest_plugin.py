"""A pytest plugin for a person's own testinfra files: the fixture `host` is the workstation that is verified.

`devbox verify` starts pytest with it in a process of its own; which container it is comes by the environment.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from builder.adapters.engine.client import connect_engine
from builder.adapters.exec_host import open_host
from builder.suite.own import CONTAINER, USER

if TYPE_CHECKING:
    from testinfra.host import Host


@pytest.fixture(scope="session")
def host() -> Host:
    """The workstation, as its user; `host.run("sudo ...")` is root where the tool sudo is there."""
    return open_host(connect_engine(os.environ), os.environ[CONTAINER], os.environ[USER])


@pytest.fixture(scope="session")
def root() -> Host:
    """The workstation, as root."""
    return open_host(connect_engine(os.environ), os.environ[CONTAINER])

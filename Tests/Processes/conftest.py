import os
import pathlib
import sys
import tempfile
import shutil

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import martlet as harness  # noqa: E402


@pytest.fixture(scope="session")
def programs():
    """A directory with the programs under their names, which every account can reach whatever the checkout's modes are."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="martlet-bin-"))
    os.chmod(directory, 0o755)
    harness.copy_programs(directory)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def home(programs):
    """A Martlet that is not started yet."""
    instance = harness.Martlet(programs)
    yield instance
    instance.clean()


@pytest.fixture
def server(home):
    """A running Martlet with the user alice."""
    home.user("alice")
    return home.start()

"""How Faust is set."""

from pathlib import Path

from streams.faust_app import faust_app
from tests.conftest import ODD_NAME


def test_fausts_own_files_are_where_they_are_wanted_whatever_that_is_called(
    tmp_path: Path,
) -> None:
    assert faust_app("payment", "127.0.0.1:9", tmp_path / ODD_NAME, 10).conf.datadir == (
        tmp_path / ODD_NAME
    )

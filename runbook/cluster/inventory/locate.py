"""Which file is the inventory, and its text; what stands in the way is one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from runbook.cluster.inventory.model import Inventory, InventoryCluster
from runbook.cluster.inventory.parser import parse_inventory
from runbook.errors import SettingsError
from runbook.files import read_limited
from runbook.playbook.diagnostics import did_you_mean
from runbook.playbook.reader import MAX_BYTES

FILE = "clusters.yaml"
SYSTEM = Path("/etc/runbook") / FILE
VARIABLE = "RUNBOOK_INVENTORY"
MANY = 20  # names worth listing in a sentence


def find_inventory(given: str | None, environment: Mapping[str, str], system: Path = SYSTEM) -> Path:
    """The file that is ``given`` or that ``RUNBOOK_INVENTORY`` names, else the machine's, else the user's own.

    Raises SettingsError where nobody names one and there is none.
    """
    named = given or environment.get(VARIABLE)
    if named:
        return Path(named).absolute()
    places = [system, *_own(environment)]
    for place in places:
        if _is_there(place):
            return place
    looked = " or ".join(map(str, places))
    raise SettingsError(f"there is no inventory at {looked}", f"Name one: --inventory FILE or {VARIABLE}")


def _own(environment: Mapping[str, str]) -> list[Path]:
    shared, home = environment.get("XDG_CONFIG_HOME", ""), environment.get("HOME", "")
    folders = [Path(shared)] if shared.startswith("/") else [Path(home) / ".config"] if home else []
    return [folder / "runbook" / FILE for folder in folders]


def _is_there(place: Path) -> bool:
    """Also where this user may not look: then it must not be passed over, and reading it says why."""
    try:
        place.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def read_inventory(path: Path) -> Inventory:
    """Raises SettingsError where it cannot be read, and PlaybookError with every fault of it."""
    try:
        data = read_limited(path, MAX_BYTES)
    except OSError as error:
        what = f"the inventory {path} cannot be read: {error.strerror}"
        raise SettingsError(what, f"Name another one with --inventory FILE or {VARIABLE}") from None
    return parse_inventory(data, str(path))


def find_cluster(inventory: Inventory, name: str) -> InventoryCluster:
    """The cluster of this name. Raises SettingsError, which says which names there are."""
    found = next((cluster for cluster in inventory.clusters if cluster.name == name), None)
    if found is not None:
        return found
    names = [cluster.name for cluster in inventory.clusters]
    listed = ", ".join(names[:MANY]) + (f" and {len(names) - MANY} more" if len(names) > MANY else "")
    raise SettingsError(
        f"{inventory.path} names no cluster {name}; it has {listed}",
        did_you_mean(name, names) or "`runbook clusters` lists them",
    )

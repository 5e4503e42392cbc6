"""The versions that are installed here of everything that runbook and its extras need: ``.ci/constraints.txt``."""

from __future__ import annotations

import sys
from importlib.metadata import distribution, distributions

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PACKAGE = "runbook-engine"
HEAD = "# The versions with which CI runs: written by `python -m release.constraints`, see CONTRIBUTING.md.\n"


def needed(extras: tuple[str, ...]) -> dict[str, str]:
    """By name, what the package needs with these extras, and what that needs; the version, or nothing where it is not
    installed. What another Python or system needs is left out.
    """
    there = {canonicalize_name(each.name): each for each in distributions()}
    found: dict[str, str] = {}
    waiting = [(canonicalize_name(PACKAGE), frozenset(extras))]
    seen = set(waiting)
    while waiting:
        name, wanted = waiting.pop()
        for line in (there[name].requires or ()) if name in there else ():
            requirement = Requirement(line)
            one = canonicalize_name(requirement.name), frozenset(requirement.extras)
            applies = requirement.marker is None or any(
                requirement.marker.evaluate({"extra": extra}) for extra in (wanted or {""})
            )
            if applies and one[0] != PACKAGE:
                found[one[0]] = there[one[0]].version if one[0] in there else ""
                if one not in seen:
                    seen.add(one)
                    waiting.append(one)
    return found


def extras_of_the_package() -> tuple[str, ...]:
    """By their names in pyproject.toml."""
    return tuple(distribution(PACKAGE).metadata.get_all("Provides-Extra") or ())


def main() -> None:
    """Print them. Ends with 1 where one is not installed, as its version is not known then."""
    found = needed(extras_of_the_package())
    if missing := sorted(name for name, version in found.items() if not version):
        sys.exit(f"not installed here: {', '.join(missing)}; CONTRIBUTING.md says how")
    sys.stdout.write(HEAD + "".join(f"{name}=={version}\n" for name, version in sorted(found.items())))


if __name__ == "__main__":
    main()

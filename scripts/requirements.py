"""Prints the requirements of pyproject.toml, or (`--pins`) the versions installed for them.

`python scripts/requirements.py [EXTRA...]` is what `make install` hands to pip;
`python scripts/requirements.py --pins test > constraints.txt` renews the pins from a tried .venv.
Plain Python without any package, as it runs before anything is installed; `--pins` needs packaging.
"""

import sys
import tomllib
from importlib.metadata import distribution
from pathlib import Path

PYPROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"
# A GPU build of torch brings these; the pins must serve the CPU build as well.
_NOT_PINNED = ("nvidia-", "triton", "cuda-")


def requirements(extras: list[str]) -> list[str]:
    """Requirement lines of the project and of the named optional groups."""
    project = tomllib.loads(PYPROJECT.read_text())["project"]
    groups = project["optional-dependencies"]
    return [*project["dependencies"], *(line for extra in extras for line in groups[extra])]


def pins(extras: list[str]) -> list[str]:
    """`name==version` for the requirements and all they need, as installed here."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name
    from packaging.version import Version

    found: dict[str, str] = {}
    waiting = [Requirement(line) for line in requirements(extras)]
    seen: set[tuple[str, str]] = set()
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        for extra in ("", *wanted.extras):
            if (name, extra) in seen or name.startswith(_NOT_PINNED):
                continue
            seen.add((name, extra))
            package = distribution(name)
            # Without the local part: `+cpu` would shut out every other build.
            found[name] = Version(package.version).public
            needs = [Requirement(line) for line in package.requires or []]
            waiting += [
                need
                for need in needs
                if need.marker is None or need.marker.evaluate({"extra": extra})
            ]
    return [f"{name}=={version}" for name, version in sorted(found.items())]


def main(arguments: list[str]) -> None:
    """Write the lines to stdout."""
    extras = [word for word in arguments if word != "--pins"]
    lines = pins(extras) if "--pins" in arguments else requirements(extras)
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])

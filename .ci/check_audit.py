"""Whether a pinned package has a published vulnerability, as pip-audit tells.

    python .ci/check_audit.py

Ends with 1 and the findings; with 0 and a word on it where the vulnerability service does not
answer. pip-audit itself takes a package that the service does not know for a sound one, so this
asks first about a package whose faults are known.
"""

import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
KNOWN_FAULTY = "django==2.0"
IGNORED: dict[str, str] = {}
"""Vulnerability -> why it does not touch us. Take a line out once a release mends it."""


def audited(python: Path, requirements: Path) -> list[dict[str, Any]]:
    """What pip-audit found about each package; nothing where it failed."""
    command = [str(python), "-m", "pip_audit", "--no-deps", "--disable-pip", "--format=json"]
    command += ["--progress-spinner=off", "--timeout=30", f"--requirement={requirements}"]
    ran = subprocess.run(command, capture_output=True, text=True)
    try:
        return list(json.loads(ran.stdout)["dependencies"])
    except ValueError:
        print(ran.stderr.strip()[-2000:])
        return []


def main() -> int:
    """Audit constraints.txt; gives the exit status."""
    with tempfile.TemporaryDirectory() as folder:
        # An environment of its own: the tool's packages are not the project's.
        venv.create(folder, with_pip=True)
        python = Path(folder, "bin", "python")
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        if subprocess.run([*install, "pip-audit>=2.7,<3"]).returncode:
            print("No package registry answers: nothing was audited.")
            return 0
        faulty = Path(folder, "faulty.txt")
        faulty.write_text(f"{KNOWN_FAULTY}\n", encoding="utf-8")
        if not any(one.get("vulns") for one in audited(python, faulty)):
            print(f"The vulnerability service does not know {KNOWN_FAULTY}: nothing was audited.")
            return 0
        packages = audited(python, ROOT / "constraints.txt")
    found = {
        vulnerability["id"]: f"{one['name']} {one['version']}: {vulnerability['id']}, mended in "
        f"{', '.join(vulnerability['fix_versions']) or 'no release'}"
        for one in packages
        for vulnerability in one.get("vulns", [])
    }
    unknown = [one["name"] for one in packages if "skip_reason" in one]
    print(f"{len(packages) - len(unknown)} packages audited; not known: {unknown or 'none'}")
    for name, reason in IGNORED.items():
        print(f"ignored: {name}: {reason}" + ("" if name in found else " (no longer found)"))
    faults = [line for name, line in found.items() if name not in IGNORED]
    print(*faults or ["No vulnerability is published for them."], sep="\n")
    return bool(faults or not packages)


if __name__ == "__main__":
    sys.exit(main())

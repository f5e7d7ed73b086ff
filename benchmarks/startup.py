"""What commands that train nothing take to start, against importing their own few libraries. `python -m benchmarks.startup`.

Processor time of whole processes, in turns: unlike wall time, it says the same on a busy machine.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys

COMMANDS = {
    "import typer, pydantic, yaml": ["-c", "import typer, pydantic, yaml"],
    "--help": ["-m", "ablations", "--help"],
    "check one_by_one": ["-m", "ablations", "check", "one_by_one"],
    "check (every study)": ["-m", "ablations", "check"],
    "plan one_by_one": ["-m", "ablations", "plan", "one_by_one", "--profile", "starter"],
}


def main() -> None:
    """Time each command, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for number in range(rounds + 1):
        for name, arguments in COMMANDS.items():
            taken = _seconds(arguments)
            if number:  # the first round fills the caches
                seconds[name].append(taken)
    libraries = seconds["import typer, pydantic, yaml"]
    print("| command | processor ms (range) | times the libraries' |\n| --- | ---: | ---: |")
    for name, found in seconds.items():
        ratios = [one / other for one, other in zip(found, libraries, strict=True)]
        shown = f"{1000 * statistics.median(found):.0f} ({1000 * min(found):.0f} to {1000 * max(found):.0f})"
        print(f"| `{name}` | {shown} | {statistics.median(ratios):.2f} |")


def _seconds(arguments: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Compiled code is kept, as it is for a user.
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    subprocess.run([sys.executable, *arguments], env=environment, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


if __name__ == "__main__":
    main()

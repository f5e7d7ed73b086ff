"""Times commands that train nothing, against the few libraries that they import. `python -m benchmarks.startup`.

Measures the processor time of whole processes, in turns: unlike wall time, it is the same on a busy machine.

The libraries load most of their code at the first use: `import pydantic` loads no model code, and Typer reads a command's
arguments with pydantic, too. So a second program of a few lines uses each library once; no command can be quicker.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys

LEAST_USE = """
from typing import Annotated
import pydantic, typer, yaml
class Study(pydantic.BaseModel):
    study: str
app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
@app.command()
def check(studies: Annotated[list[str], typer.Argument()]):
    print(Study.model_validate(yaml.safe_load("study: " + studies[0])))
app()
"""
"""A command with one argument, a model of one key, a line of YAML."""

LIBRARIES, IN_USE = "import typer, pydantic, yaml", "the same, each used once"
COMMANDS = {
    LIBRARIES: ["-c", LIBRARIES],
    IN_USE: ["-c", LEAST_USE, "one_by_one"],
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
    print("| command | processor ms (range) | times the imports' | times their use |\n| --- | ---: | ---: | ---: |")
    for name, found in seconds.items():
        shown = f"{1000 * statistics.median(found):.0f} ({1000 * min(found):.0f} to {1000 * max(found):.0f})"
        ratios = [_ratio(found, seconds[reference]) for reference in (LIBRARIES, IN_USE)]
        print(f"| `{name}` | {shown} | {ratios[0]:.2f} | {ratios[1]:.2f} |")


def _ratio(found: list[float], reference: list[float]) -> float:
    """Median over the rounds."""
    return statistics.median(one / other for one, other in zip(found, reference, strict=True))


def _seconds(arguments: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Compiled code is kept, as it is for a user.
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    subprocess.run([sys.executable, *arguments], env=environment, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


if __name__ == "__main__":
    main()

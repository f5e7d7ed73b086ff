"""Coverage-guided fuzz of the loader: any bytes are either a study that can be planned, or refused with one clear message.

    pip install atheris
    python -m tests.fuzz.loading --minutes 10 --corpus /tmp/corpus

Inputs that reach new code stay in the corpus, where the next run starts. A crash ends the run and leaves its
input in the working folder; `python -m tests.fuzz.loading crash-…` runs it again.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["ablations", "nin", "yaml"]):
    from ablations.errors import StudyFileError
    from ablations.planning.checking import plan_study, read_study
    from ablations.studyfile.loading import MAX_PROBLEMS, shipped_studies
    from ablations.trial import Machine

from tests.support.builders import CONDITIONAL, TEXT

CPU = Machine("cpu", bf16=False, num_workers=2, description="2 CPU cores")
REFUSAL = re.compile(r"s\.yaml:([0-9]+:[0-9]+: .| the file is empty)")
SECONDS, MEBIBYTES = 10, 2048
"""Limits of one input."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--corpus", type=Path, default=Path(tempfile.gettempdir()) / "ablations-corpus")
    parser.add_argument("inputs", nargs="*", help="run these again, and nothing else")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s.yaml"  # each input is read as a user's file is
        given.corpus.mkdir(parents=True, exist_ok=True)
        for number, text in enumerate([TEXT, CONDITIONAL, *(each.read_text() for each in shipped_studies())]):
            (given.corpus / f"seed{number}").write_text(text)
        words = Path(folder) / "words"
        words.write_text("".join(f'"{word}"\n' for word in _words()))
        limits = [f"-timeout={SECONDS}", f"-rss_limit_mb={MEBIBYTES}", "-max_len=8192", f"-dict={words}"]
        what = given.inputs or [f"-max_total_time={60 * given.minutes:.0f}", "-print_final_stats=1", str(given.corpus)]
        atheris.Setup([sys.argv[0], *limits, *what], lambda data: _try(path, data))
        atheris.Fuzz()


def _try(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    try:
        file = read_study(path)
        for profile in file.spec.profiles:
            plan_study(file, profile, CPU)
    except StudyFileError as error:
        message = str(error).replace(str(path), "s.yaml")
        assert REFUSAL.match(message), message
        assert len(message.splitlines()) <= MAX_PROBLEMS + 1, message
        assert message.isascii() or message.replace("\n", "").isprintable(), ascii(message)


def _words() -> list[str]:
    """Pieces of study files, for the mutations."""
    text = "\n".join([CONDITIONAL, *(each.read_text() for each in shipped_studies())])
    marks = ("&a ", "*a", "<<: ", "!!int ", "? ", "---", ".nan", "1e-5", "grid: ")
    return [*sorted(set(re.findall(r"[\w.]+: ?", text))), *marks]


if __name__ == "__main__":
    main()

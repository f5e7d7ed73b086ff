"""`init`: a study file to start from."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from ablations.commands.studies import open_study
from ablations.errors import UserError
from ablations.studyfile.loading import read_file
from ablations.studyfile.schema import SCHEMA_FILE, study_schema
from ablations.studyfile.spec import NAME
from ablations.studyfile.template import TEMPLATE, copied
from ablations.text import readable


def init(path: Path, source: str | None) -> None:
    """Write a study file, and beside it the schema for editors.

    Args:
        path: file to write; its stem becomes the name of the study.
        source: study to copy; None: the commented template.

    Raises:
        UserError: the file exists, has no name of a study, or cannot be written.
        StudyFileError: `source` is no study.
    """
    if path.suffix not in {".yaml", ".yml"} or not NAME.fullmatch(path.stem):
        raise UserError(
            f"{readable(str(path))}: name the file after its study: STUDY.yaml. A name has 1 to 64 characters of a-z, 0-9 and "
            "'_', and does not start with '_'."
        )
    file = open_study(source) if source else read_file(TEMPLATE)
    try:
        with path.open("x", encoding="utf-8") as new:
            new.write(copied(file, path))
    except FileExistsError as error:
        raise UserError(f"{path} already exists and was not changed. Choose another name.") from error
    except OSError as error:
        raise UserError(
            f"{path} cannot be written: {error.strerror}. Choose a file in a folder that exists and is writable."
        ) from error
    schema = path.with_name(SCHEMA_FILE)
    schema.write_text(json.dumps(study_schema(), indent=1) + "\n", encoding="utf-8")
    profile = "starter" if "starter" in file.spec.profiles else next(iter(file.spec.profiles))
    print(f"{path}: written; {schema} lets editors complete and check it")
    command = shlex.join(["python", "-m", "ablations", "run", str(path), "--profile", profile])
    print(f"next: edit its question and variants, then {command}")

r"""The methods of a study for a paper: LaTeX to `\input`, with the references that it cites; how to cite a report."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from ablations.analysis.summary import StudySummary
from ablations.reporting import words
from ablations.reporting.latex import coded_latex, label
from ablations.reporting.method import search_space
from ablations.text import percent
from nin.config import NinConfig

TITLE = "NiN ablations: ablation studies of Network-in-Network CNNs"
"""Of the suite, as in CITATION.cff."""


def paper_files(summary: StudySummary) -> dict[str, str]:
    """File name -> contents: `methods.tex` and `references.bib`, which has exactly the entries cited."""
    text = "\n\n".join(map(_cited, (" ".join(_training(summary)), " ".join(_statistics(summary)))))
    cited = dict.fromkeys(re.findall(r"\\cite\{(\w+)\}", text))
    comment = (
        f"% methods.tex: of study {words.on_one_line(summary.study)} at profile {words.on_one_line(summary.profile)}."
    )
    return {
        "methods.tex": f"{comment}\n% Needs the tables and references.bib beside it.\n{text}\n",
        "references.bib": "\n".join(_REFERENCES[key] for key in cited),
    }


def citation(summary: StudySummary, created: str) -> str:
    """How to cite a report, on one line.

    Args:
        summary: of the study.
        created: timestamp of the report.
    """
    return (
        f"The nin-ablations authors. {TITLE}{_version(summary, 'nin-ablations', ', version')}. "
        f"Report of {summary.study} at profile {summary.profile}, {created}."
    )


def _cited(text: str) -> str:
    """Text with `[@key]` for references and `[#name]` for tables, as LaTeX; other brackets are text."""
    keys = "|".join(_REFERENCES)
    # In threes: text, a reference or None, a table's label or None.
    pieces = re.split(rf" \[@({keys})\]| \[#(tab:[\w-]+)\]", text)
    found = [coded_latex(pieces[0])]
    for key, table, rest in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True):
        mark = rf"~\cite{{{key}}}" if key else rf"~\ref{{{table}}}"
        found.append(mark + coded_latex(rest))
    return "".join(found)


def _training(summary: StudySummary) -> Iterator[str]:
    others = [f"`{variant.name}`" for variant in summary.variants if variant.name != summary.baseline]
    networks = " Network-in-Network [@lin2013network]" if _has_nin(summary) else ""
    data = f"{summary.dataset}{' [@xiao2017fashion]' if 'Fashion-MNIST' in summary.dataset else ''}"
    if others:
        yield f"We compared the baseline{networks} `{summary.baseline}` with {words.listed(others)} on {data}."
    else:
        yield f"We trained the{networks} network `{summary.baseline}` on {data}."
    if summary.search_space:
        tuned = summary[summary.baseline]
        searches = f"{summary.num_searches} independent searches" if summary.searches else "one search"
        yield (
            f"Each variant was tuned separately on validation images with Optuna [@akiba2019optuna], in {searches} and "
            f"{words.plural(tuned.num_tune_planned, 'trial')} in all: {search_space(summary)}."
        )
    seeds = words.plural(len(summary.seeds), "seed")
    looks = (
        f", with looks at {words.listed(map(str, summary.looks))} planned beforehand" if len(summary.looks) > 1 else ""
    )
    yield (
        f"The chosen values were trained on up to {seeds} that tuning had not used, the same for every variant{looks}."
        if summary.search_space
        else f"Each variant was trained on up to {seeds}, the same for every variant{looks}."
    )
    workload = summary[summary.baseline].workload
    epochs = max((len(curve.epochs) for v in summary.variants for curve in v.curves), default=0)
    length = f" for {words.plural(epochs, 'epoch')}" if epochs else ""
    yield f"Networks were trained{length} in {workload.precision} with PyTorch [@paszke2019pytorch]{_version(summary, 'torch')}{_machine(summary)}."
    yield f"Runs were recorded in MLflow [@zaharia2018mlflow]{_version(summary, 'mlflow')}."
    yield "The test split was read once per run, after its last epoch."


def _statistics(summary: StudySummary) -> Iterator[str]:
    if not summary.contrasts:
        return
    unit = "search" if summary.searches else "seed"
    units = f"{unit}es" if summary.searches else f"{unit}s"
    yield (
        "Differences are paired by seed, and the unit of every test is the search: the mean difference over its seeds."
        if summary.searches
        else "Differences are paired by seed."
    )
    yield f"Intervals and $p$-values are Student's t [@student1908] over the {units}."
    bases = {c.judgement.evidence.basis for c in summary.contrasts if c.judgement.evidence}
    if any(basis.endswith("images") for basis in bases):
        yield (
            f"Where this claims less, they are over {units} and test images, with Satterthwaite's degrees of freedom "
            "[@satterthwaite1946]."
        )
    margin = words.plural(summary.decision.margin, "point")
    yield f"Equivalence within a margin of {margin} was tested by two one-sided tests [@schuirmann1987]."
    if summary.unplanned is None:
        looks = f" and {words.plural(len(summary.looks), 'look')}" if len(summary.looks) > 1 else ""
        yield (
            f"A step-down procedure in the manner of Holm [@holm1979] holds the family-wise error rate at "
            f"{100 * summary.decision.alpha:g} % over {words.plural(summary.num_planned, 'planned contrast')}{looks}."
        )
    num_failed = sum(len(variant.failed_seeds) for variant in summary.variants)
    num_ran = sum(len(variant.ran_seeds) for variant in summary.variants)
    yield (
        f"A run with a last validation accuracy under {percent(summary.learned_percent)} did not learn; {num_failed} of {num_ran} runs "
        "did not, and are left out of differences. Intervals of their rates are exact [@clopper1934]."
    )
    yield f"Results are in Table [#{label(summary, 'variants')}]. Every conclusion holds {summary.scope}."


def _has_nin(summary: StudySummary) -> bool:
    return all(isinstance(variant.workload.model, NinConfig) for variant in summary.variants)


def _version(summary: StudySummary, package: str, before: str = "") -> str:
    versions = summary.provenance.get("versions")
    version = versions.get(package) if isinstance(versions, Mapping) else None
    return f"{before} {version}" if isinstance(version, str) else ""


def _machine(summary: StudySummary) -> str:
    processor = summary.provenance.get("processor")
    return f" on {processor}" if isinstance(processor, str) else ""


def _entry(kind: str, key: str, **fields: str) -> str:
    lines = "".join(f"  {name} = {{{value}}},\n" for name, value in fields.items())
    return f"@{kind}{{{key},\n{lines}}}\n"


_REFERENCES = {
    "lin2013network": _entry(
        "article",
        "lin2013network",
        author="Lin, Min and Chen, Qiang and Yan, Shuicheng",
        title="Network In Network",
        journal="arXiv preprint arXiv:1312.4400",
        year="2013",
    ),
    "xiao2017fashion": _entry(
        "article",
        "xiao2017fashion",
        author="Xiao, Han and Rasul, Kashif and Vollgraf, Roland",
        title="{Fashion-MNIST}: a Novel Image Dataset for Benchmarking Machine Learning Algorithms",
        journal="arXiv preprint arXiv:1708.07747",
        year="2017",
    ),
    "akiba2019optuna": _entry(
        "inproceedings",
        "akiba2019optuna",
        author="Akiba, Takuya and Sano, Shotaro and Yanase, Toshihiko and Ohta, Takeru and Koyama, Masanori",
        title="Optuna: A Next-generation Hyperparameter Optimization Framework",
        booktitle="Proceedings of the 25th ACM SIGKDD International Conference on Knowledge Discovery and Data Mining",
        pages="2623--2631",
        year="2019",
    ),
    "paszke2019pytorch": _entry(
        "inproceedings",
        "paszke2019pytorch",
        author="Paszke, Adam and Gross, Sam and Massa, Francisco and others",
        title="{PyTorch}: An Imperative Style, High-Performance Deep Learning Library",
        booktitle="Advances in Neural Information Processing Systems 32",
        year="2019",
    ),
    "zaharia2018mlflow": _entry(
        "article",
        "zaharia2018mlflow",
        author="Zaharia, Matei and Chen, Andrew and Davidson, Aaron and others",
        title="Accelerating the Machine Learning Lifecycle with {MLflow}",
        journal="IEEE Data Engineering Bulletin",
        volume="41",
        number="4",
        pages="39--45",
        year="2018",
    ),
    "student1908": _entry(
        "article",
        "student1908",
        author="Student",
        title="The Probable Error of a Mean",
        journal="Biometrika",
        volume="6",
        number="1",
        pages="1--25",
        year="1908",
    ),
    "satterthwaite1946": _entry(
        "article",
        "satterthwaite1946",
        author="Satterthwaite, F. E.",
        title="An Approximate Distribution of Estimates of Variance Components",
        journal="Biometrics Bulletin",
        volume="2",
        number="6",
        pages="110--114",
        year="1946",
    ),
    "schuirmann1987": _entry(
        "article",
        "schuirmann1987",
        author="Schuirmann, Donald J.",
        title="A Comparison of the Two One-Sided Tests Procedure and the Power Approach for Assessing the Equivalence of Average "
        "Bioavailability",
        journal="Journal of Pharmacokinetics and Biopharmaceutics",
        volume="15",
        number="6",
        pages="657--680",
        year="1987",
    ),
    "holm1979": _entry(
        "article",
        "holm1979",
        author="Holm, Sture",
        title="A Simple Sequentially Rejective Multiple Test Procedure",
        journal="Scandinavian Journal of Statistics",
        volume="6",
        number="2",
        pages="65--70",
        year="1979",
    ),
    "clopper1934": _entry(
        "article",
        "clopper1934",
        author="Clopper, C. J. and Pearson, E. S.",
        title="The Use of Confidence or Fiducial Limits Illustrated in the Case of the Binomial",
        journal="Biometrika",
        volume="26",
        number="4",
        pages="404--413",
        year="1934",
    ),
}
"""BibTeX entries by key."""

"""Pictures and pages made from a `StudySummary`. The only package that imports matplotlib, seaborn and jinja2."""

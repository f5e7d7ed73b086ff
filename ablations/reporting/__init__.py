"""Figures, tables and pages of a `StudySummary`. No other package imports matplotlib, seaborn or jinja2."""

"""Output on a terminal: displays of a run, grids and tables. The only door to rich."""

"""Records and verdicts of many runs as tables, plots and one page, for a paper or a decision."""

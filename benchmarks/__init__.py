"""One script per claim of the README; each prints a ratio against its baseline, measured in the same run."""

"""Runs compared: the paper's tables over any run directories, and what each difference is worth."""

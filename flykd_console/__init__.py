"""flykd-console: train, watch and ship distilled graph networks for drug repurposing."""

__version__ = "0.1.0"

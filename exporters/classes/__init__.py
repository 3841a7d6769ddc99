"""Bundles of runs that tell classes of nodes or graphs: encoders in ONNX, answers in HDF5, and their scorer."""

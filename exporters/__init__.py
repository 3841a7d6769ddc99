"""Bundles: a trained model as HDF5 tables and ONNX heads, verified against the run, and the CPU scorer that reads them.

No module here imports torch. A bundle needs `exporters.scorer` with numpy and h5py, nothing else.
"""

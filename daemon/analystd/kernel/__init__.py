"""Persistent Python sessions on sandboxed Jupyter kernels."""

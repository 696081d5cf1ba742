"""The code of a session's own process: a Jupyter kernel with bounded output that can explain the sandbox's refusals.

It uses the standard library and ipykernel only, and may be run by another interpreter than the daemon's, so nothing here imports `analystd`.
"""

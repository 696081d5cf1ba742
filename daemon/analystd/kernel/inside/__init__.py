"""What runs in the session's own process: a Jupyter kernel that bounds its output and knows its limits.

It uses the standard library and ipykernel only, and may be run by another interpreter than the daemon's, so nothing here imports `analystd`.
"""

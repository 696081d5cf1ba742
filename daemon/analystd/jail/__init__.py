"""The jail: allowed paths, resource limits, and the walls around a worker process."""

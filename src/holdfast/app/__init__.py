"""The composition root: builds every service once, mounts routes and pages, starts the processes.

`python -m holdfast.app server|worker|inference` runs one process. No other room imports this one.
"""

"""The packages that a model needs: captured where it was fitted, compared with this machine's, rebuilt if need be.

`capture` and `lock` use the standard library alone, because the client captures in a training job.
Not here: running anything in an environment (`jobs`, `runtimes`).
"""

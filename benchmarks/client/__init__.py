"""What a call of the client costs the program that makes it, beside the calls of MLflow's and trackio's clients."""

from benchmarks.client.measure import main

__all__ = ["main"]

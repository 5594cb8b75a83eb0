"""The inference server: a process that answers predictions for every endpoint of the desired state.

It opens no database: it speaks HTTP to the control plane, keeps its models and the last desired state on its own
disk, and so starts and serves while the control plane is away. Every prediction is in its log before the answer.
"""

from holdfast.serving.inference.settings import InferenceSettings

__all__ = ["InferenceSettings", "main"]


def main(settings: InferenceSettings) -> int:
    """Serve until SIGTERM, SIGINT or, when supervised, the end of standard input; the exit code.

    Raises Conflict when the port or the data folder is in use, InvalidInput for an address beyond loopback.
    """
    from holdfast.serving.inference.server import run  # uvicorn and uvloop: only in the process that serves

    return run(settings)

"""What tests of holdfast need, for ours and for third parties' code: contract suites and real servers to run against.

Not here: tests. Nothing of holdfast imports this room.
"""

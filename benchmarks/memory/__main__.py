"""`python -m benchmarks.memory [--minutes N]`"""

import argparse

from benchmarks.memory.measure import MINUTES, main

parser = argparse.ArgumentParser(prog="python -m benchmarks.memory")
parser.add_argument(
    "--minutes", type=float, default=MINUTES, help="how long the load lasts (default: %(default)s)"
)
main(parser.parse_args().minutes)

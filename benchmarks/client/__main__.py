"""`python -m benchmarks.client`."""

from benchmarks.client.measure import main

main()

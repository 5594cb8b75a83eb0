"""What every room stands on: errors, ids, clocks, canonical JSON, hashing, paging, times, callers.

Pure: no I/O beyond reading the system clock and the operating system's random numbers. It knows no
database, no HTTP and no other room.
"""

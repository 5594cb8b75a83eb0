"""Running other people's code: a task goes in, an exit code and the tail of its output come out.

Every model load, conversion and environment build goes through an executor of this room, in a sandbox that
sees no data folder, no keys and, unless asked, no network. Needs no database, so the inference server uses it
too.
Not here: what the tasks compute (`runtimes`, `environments`).
"""

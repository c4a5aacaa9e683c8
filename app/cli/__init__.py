"""The program's commands. `parser` says what they take, `dispatch` runs the one that was asked.

A command that is no mode is a module with `run(arguments) -> int`: 0 done, 1 failed. Results go
to stdout, and everything else to stderr.
"""

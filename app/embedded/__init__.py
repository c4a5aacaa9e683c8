"""The servers Tariff needs, run on this machine from installed packages: no Docker, no downloads.

`stack.running_stack` starts what is not configured to be elsewhere and keeps it running. Each
server lives in a process of its own, under one data directory, on loopback addresses only.

    stack        what runs, in what order, and with which settings the rest of the program sees it
    supervised   one process: started, watched, started again when it dies, stopped
    directory    what outlives a run: ports, secrets, logs, and who holds the directory
    leftovers    processes of a run that was killed
    servers/     how each server is prepared, started and found ready
    clickhouse/  ClickHouse's HTTP interface over chdb, as a program
    s3/          an S3 server fit to hold the broker's log, as a program
"""

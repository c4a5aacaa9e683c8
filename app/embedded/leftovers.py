"""Ends the processes that a killed supervisor has left, before the next one starts its own."""

import asyncio
import signal
from pathlib import Path

import psutil
import structlog

from app.embedded.directory import Directory, Recorded

log = structlog.get_logger(__name__)

_POLITE_SECONDS = 5.0
# A process is known again by its pid and its start; the system tells the start to 10 ms, and
# shifts it when the clock is set.
_SAME_START_SECONDS = 2.0


async def clear(directory: Directory) -> list[str]:
    """End what an earlier run has left running; the names of it."""
    left = {
        name: process
        for name, recorded in directory.processes.items()
        if (process := _running(recorded)) is not None
    }
    for name, process in left.items():
        log.warning("leftover_process", name=name, pid=process.pid)
    if left:
        numbers = {name: directory.processes[name].stop_signal for name in left}
        await asyncio.to_thread(_end, [(p, numbers[name]) for name, p in left.items()])
    for name in directory.processes:
        directory.record(name, None)
    return sorted(left)


def runs(directory: Directory) -> bool:
    """Whether any process that was recorded still runs."""
    return any(_running(recorded) is not None for recorded in directory.processes.values())


def _running(recorded: Recorded) -> psutil.Process | None:
    try:
        process = psutil.Process(recorded.pid)
        command = process.cmdline()
        same_start = abs(process.create_time() - recorded.started) < _SAME_START_SECONDS
    except psutil.Error:
        return None
    # Just after its start it still is the tether, with the program further on.
    same_program = any(Path(word) == Path(recorded.program) for word in command)
    return process if same_start and same_program else None


def _end(processes: list[tuple[psutil.Process, int]]) -> None:
    for process, number in processes:
        _send(process, number)
    alive = [process for process, _ in processes]
    _, alive = psutil.wait_procs(alive, timeout=_POLITE_SECONDS)
    for process in alive:
        log.warning("leftover_process_killed", pid=process.pid)
        _send(process, signal.SIGKILL)
    psutil.wait_procs(alive, timeout=_POLITE_SECONDS)


def _send(process: psutil.Process, number: int) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return

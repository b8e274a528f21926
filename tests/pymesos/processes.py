#!/usr/bin/env python3
"""Runs commands on a cluster with the scheduler and the executor that pymesos brings along (`pymesos.subprocess`).

    processes.py MASTER COUNT          (a Python that has pymesos)

Both are used as they are; only the end of the pipes to the processes is here, for the one of pymesos is Python 2. Exits 0
when COUNT processes have written what they should and ended with TASK_FINISHED.
"""
import os
import socket
import sys
import threading

from pymesos.subprocess import scheduler


class Process:
    """What pymesos's scheduler wants of a process: what to run, and whom to tell."""

    cpus, mem, gpus = 0.1, 32, 0

    def __init__(self, number, word):
        self.id = number
        self.word = word
        self.started, self.ended = threading.Event(), threading.Event()
        self.result = None
        self.pipes = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
        # The executor overlooks a process that ends before it has written the pid down.
        command = ["sh", "-c", f"sleep 0.3; echo '{word}'"]
        ports = [pipe.getsockname()[1] for pipe in self.pipes]
        self.params = dict(a=(command,), kw={}, hostname="127.0.0.1", handlers=ports)

    def _started(self):
        self.started.set()

    def _finished(self, success, message, data):
        self.result = (success, message, data)
        self.ended.set()

    def output(self):
        connection, _ = self.pipes[1].accept()
        with connection.makefile() as file:
            return file.read().strip()


def main():
    master, count = sys.argv[1], int(sys.argv[2])
    os.environ["MESOS_MASTER"] = master
    framework = scheduler.ProcScheduler()
    processes = [Process(number, f"word {number}") for number in range(1, count + 1)]
    framework.start()
    for process in processes:
        framework.submit(process)
    for process in processes:
        process.pipes[1].settimeout(60)
        written = process.output()
        if not process.ended.wait(60):
            sys.exit(f"process {process.id} did not end")
        success, message, data = process.result
        print(f"process {process.id}: wrote {written!r}, success {success}, exit code {data[0] if data else None}")
        if written != process.word or not process.started.is_set() or not success or data[0] != 0:
            sys.exit(f"process {process.id}: {process.result}")
    framework.stop()
    print(f"{count} processes of pymesos have finished")


main()

#!/usr/bin/env python3
"""Starts a master and agents on the loopback interface, runs a command beside them, and ends them after it.

    python3 cluster.py DIR [--agents N] [--machines] [--resources SPEC] [--launcher-dir DIR] [--env NAME=VALUE ...]
                       [--kill SEED] -- COMMAND...

DIR: made by setup.py. --env sets a flag of Mesos, for master and agents (MESOS_ALLOCATION_INTERVAL=50ms).
The command's environment has
    MESOS_MASTER    the master's address, 127.0.0.1:PORT
    MESOS_AGENTS    the agents' addresses, with commas between
    MESOS_LOGS      a folder: master.log, agent-N.log, and the work directories
--kill: while the command runs, the master or an agent is killed now and then (SIGKILL) and started again, or stopped
(SIGSTOP) for so long that its peers give it up, and continued, as SEED has it.
Exits with the status of the command. Without a command, it prints these variables and waits for an interrupt.
"""
import argparse
import functools
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def start(program, port, work, log, extra):
    env = dict(os.environ, LIBPROCESS_IP="127.0.0.1", LIBPROCESS_PORT=str(port), MESOS_WORK_DIR=str(work), **extra)
    # Started again, it goes on with the log.
    with open(log, "ab") as out:
        return subprocess.Popen([str(program)], env=env, stdout=out, stderr=out, stdin=subprocess.DEVNULL)


def wait(what, ready, processes, seconds=30):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for name, process in processes:
            if process.poll() is not None:
                sys.exit(f"{name} ended with status {process.returncode} while waiting for {what}")
        try:
            if ready():
                return
        except OSError:
            pass
        time.sleep(0.1)
    sys.exit(f"gave up waiting for {what}")


def kill_some(processes, starts, seed, stop):
    """Kills a process of the cluster and starts it again, or stops and continues it, one after another."""
    choose = random.Random(seed)
    count = pauses = 0
    while not stop.wait(choose.uniform(3, 8)):
        at = choose.randrange(len(processes))
        name, process = processes[at]
        if choose.randrange(4) == 0:
            process.send_signal(signal.SIGSTOP)
            # Longer than the pings' time-out.
            stop.wait(choose.uniform(1, 7))
            process.send_signal(signal.SIGCONT)
            pauses += 1
            continue
        process.kill()
        process.wait()
        stop.wait(choose.uniform(0, 2))
        processes[at] = (name, starts[at]())
        count += 1
    print(f"killed and started again: {count} times; stopped and continued: {pauses} times (seed {seed})", flush=True)


def get(url):
    with urllib.request.urlopen(url, timeout=2) as answer:
        return json.load(answer)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dir", type=pathlib.Path)
    parser.add_argument("--agents", type=int, default=1)
    parser.add_argument("--machines", action="store_true", help="each agent calls its host by a name of its own")
    parser.add_argument("--resources", default="cpus:4;mem:4096;disk:4096;ports:[31000-31999]")
    parser.add_argument("--launcher-dir", type=pathlib.Path, help="holds a mesos-executor, which command tasks need")
    parser.add_argument("--env", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--keep-logs", action="store_true")
    parser.add_argument("--kill", type=int, metavar="SEED")
    cut = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    args, command = parser.parse_args(sys.argv[1:cut]), sys.argv[cut + 1:]

    kit = args.dir.resolve()
    logs = pathlib.Path(tempfile.mkdtemp(prefix="mesos-kit-"))
    launcher = kit
    if args.launcher_dir:
        launcher = logs / "launcher"
        launcher.mkdir()
        (launcher / "mesos-containerizer").symlink_to(kit / "mesos-containerizer")
        for tool in args.launcher_dir.resolve().iterdir():
            (launcher / tool.name).symlink_to(tool)
    common = dict(e.split("=", 1) for e in args.env)
    port = free_port()
    master = f"127.0.0.1:{port}"
    processes, starts, agents = [], [], []
    stop, killer = threading.Event(), None
    status = 1
    try:
        # Agents look for a restarted master after this many pings are missed: 3 s instead of 75 s.
        pings = {"MESOS_AGENT_PING_TIMEOUT": "1secs", "MESOS_MAX_AGENT_PING_TIMEOUTS": "3"}
        starts.append(functools.partial(start, kit / "mesos-master", port, logs / "master", logs / "master.log",
                                        {**pings, **common}))
        processes.append(("master", starts[0]()))
        wait("the master", lambda: get(f"http://{master}/state")["leader"], processes)
        for n in range(args.agents):
            agent_port = free_port()
            agents.append(f"127.0.0.1:{agent_port}")
            extra = {"MESOS_KIT_MASTER": master, "MESOS_LAUNCHER": "posix", "MESOS_ISOLATION": "posix/cpu,posix/mem",
                     "MESOS_SYSTEMD_ENABLE_SUPPORT": "false", "MESOS_LAUNCHER_DIR": str(launcher),
                     "MESOS_RESOURCES": args.resources, **common}
            if args.machines:
                extra["MESOS_HOSTNAME"] = f"machine-{n}"
            starts.append(functools.partial(start, kit / "mesos-agent", agent_port, logs / f"agent-{n}",
                                            logs / f"agent-{n}.log", extra))
            processes.append((f"agent {n}", starts[-1]()))
        wait("the agents", lambda: sum(a["active"] for a in get(f"http://{master}/slaves")["slaves"]) == args.agents,
             processes)
        env = dict(os.environ, MESOS_MASTER=master, MESOS_AGENTS=",".join(agents), MESOS_LOGS=str(logs))
        if args.kill is not None:
            killer = threading.Thread(target=kill_some, args=(processes, starts, args.kill, stop))
            killer.start()
        if command:
            status = subprocess.run(command, env=env).returncode
        else:
            print(f"MESOS_MASTER={master}\nMESOS_AGENTS={','.join(agents)}\nMESOS_LOGS={logs}", flush=True)
            signal.signal(signal.SIGTERM, signal.default_int_handler)
            try:
                signal.pause()
            except KeyboardInterrupt:
                status = 0
    finally:
        stop.set()
        if killer:
            killer.join()
        for _, process in reversed(processes):
            process.kill()
            process.wait()
        if status == 0 and not args.keep_logs:
            shutil.rmtree(logs, ignore_errors=True)
        else:
            print(f"the cluster's logs: {logs}", file=sys.stderr)
    sys.exit(status)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Libraries for Mesos frameworks, side by side: the CPU, memory and latency that one program on each takes.

    python3 benches/peers/peers.py DIR [--runs N] [--clients a,b,…] [--ours PATH] [WORKLOAD…]

DIR keeps what is built and installed (the first time takes some minutes), and `results.jsonl`, to which each run adds a
line. Without WORKLOAD all are run: offers, updates, delayed, latency, slow, idle, tenfold, tasks. The medians of this
series are printed in Markdown. `--ours` takes a folder
with `bench_client` and `bench_executor` of another state of this crate.

Needs Linux, a Rust toolchain, gcc, g++ and Debian's packages golang-go, golang-github-mesos-mesos-go-dev,
golang-github-gogo-protobuf-dev, golang-github-pquerna-ffjson-dev, golang-github-pborman-uuid-dev and time.
"""
import argparse
import json
import os
import pathlib
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TASKS, PER_ACCEPT = 2000, 200
# What each offers of a hundred thousand sums up to is the same.
CPUS_PER_200_000 = 6_540_000
# Mode and number of the fake master, its delay in ms, what the client's environment has besides, and who takes no part.
FIREHOSE = {
    "offers": ("offers", 20_000, 0, {}, ()),
    "updates": ("updates", 200_000, 0, {}, ("decode", "decode-json")),
    "delayed": ("updates", 20_000, 10, {}, ("decode", "decode-json")),
    "latency": ("latency", 5_000, 0, {}, ("decode", "decode-json")),
    "slow": ("updates", 20_000, 0, {"BENCH_CALLBACK_MS": "1"}, ("floor", "floor-json", "decode", "decode-json")),
    "idle": ("idle", 60, 0, {}, ("decode", "decode-json")),
    "tenfold": ("updates", 2_000_000, 0, {}, ("decode", "decode-json", "mesos-go-json", "pymesos")),
}
# One that takes minutes for a workload runs a part of it; what is said is per event.
SHARE = {("delayed", "mesos-go"): 20, ("delayed", "mesos-go-json"): 20, ("delayed", "pymesos"): 20,
         ("tenfold", "mesos-go"): 10}
TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def run(*command, **more):
    subprocess.run([str(part) for part in command], check=True, **more)


# How a program is built for which speed matters: all of it is optimized as one.
OPTIMIZED = {"LTO": "fat", "CODEGEN_UNITS": "1"}
CRATE = """[package]
name = "ours"
version = "0.0.0"
edition = "2024"

[workspace]

# What the program asks for in this crate.
[features]
default = ["json"]
json = []

[[bin]]
name = "bench_client"
path = "{root}/examples/bench_client.rs"

[[bin]]
name = "bench_executor"
path = "{root}/examples/bench_executor.rs"

[[bin]]
name = "demo_framework"
path = "{root}/examples/demo_framework.rs"

[dependencies]
bytes = "1"
mesos-framework = {{ path = "{root}" }}
tokio = {{ version = "1", features = ["macros", "rt", "rt-multi-thread"] }}
tracing-subscriber = {{ version = "0.3", default-features = false, features = ["fmt", "std", "env-filter"] }}
"""


def optimized(profile, **more):
    return dict(os.environ, **{f"CARGO_PROFILE_{profile}_{name}": value for name, value in OPTIMIZED.items()}, **more)


def our_programs(folder):
    """Our examples as a user's programs, with the default features alone, in release mode: the folder they are in."""
    folder.mkdir(exist_ok=True)
    (folder / "Cargo.toml").write_text(CRATE.format(root=ROOT))
    shutil.copy(ROOT / "Cargo.lock", folder)
    env = optimized("RELEASE", CARGO_TARGET_DIR=str(folder / "target"))
    run("cargo", "build", "--release", "--quiet", cwd=folder, env=env)
    return folder / "target/release"


def fake_master():
    """Where it was built, in release mode."""
    made = subprocess.run(["cargo", "bench", "--bench", "firehose", "--no-run", "--message-format", "json"], cwd=ROOT,
                          check=True, stdout=subprocess.PIPE, text=True, env=optimized("BENCH"))
    for line in made.stdout.splitlines():
        message = json.loads(line)
        if message.get("target", {}).get("name") == "firehose" and message.get("executable"):
            return message["executable"]
    sys.exit("cargo has built no firehose")


class Peers:
    """What is measured, and how it is started."""

    def __init__(self, folder, ours):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.firehose = fake_master()
        ours = pathlib.Path(ours).resolve() if ours else our_programs(folder / "ours")
        self.kit = folder / "mesos-kit"
        python = folder / "pymesos/bin/python"
        run(sys.executable, ROOT / "tests/mesos/setup.py", self.kit)
        run(sys.executable, ROOT / "tests/pymesos/setup.py", folder / "pymesos")
        self.mesos_go = folder / "mesos-go-scheduler"
        self.native = folder / "native-scheduler"
        self.build()
        json_codec = {"BENCH_CODEC": "json"}
        self.clients = {
            "floor": ([self.firehose, "floor"], {}),
            "floor-json": ([self.firehose, "floor"], json_codec),
            "decode": ([self.firehose, "decode"], {}),
            "decode-json": ([self.firehose, "decode"], json_codec),
            "ours": ([ours / "bench_client", "firehose"], {}),
            "ours-json": ([ours / "bench_client", "firehose"], json_codec),
            "mesos-go": ([self.mesos_go, "firehose"], {}),
            "mesos-go-json": ([self.mesos_go, "firehose"], json_codec),
            "pymesos": ([python, HERE / "clients/pymesos_scheduler.py", "firehose"], {}),
            "native": ([self.native], {"MESOS_KIT": str(self.kit)}),
            "demo": ([ours / "demo_framework", "--master"], {}),
        }
        self.executors = {"ours": [ours / "bench_executor"], "pymesos": [python, HERE / "clients/pymesos_executor.py"]}

    def build(self):
        go_path = self.folder / "go"
        package = go_path / "src/bench"
        package.mkdir(parents=True, exist_ok=True)
        shutil.copy(HERE / "clients/mesos_go_scheduler.go", package)
        settings = {"GO111MODULE": "off", "GOPATH": f"{go_path}:/usr/share/gocode", "GOFLAGS": "",
                    "GOCACHE": str(self.folder / "go-cache")}
        run("go", "build", "-o", self.mesos_go, ".", cwd=package, env=dict(os.environ, **settings))
        run("g++", "-O2", "-std=c++17", "-rdynamic", "-o", self.native, HERE / "clients/native_scheduler.cpp", "-ldl",
            "-lpthread")

    def versions(self):
        def said(*command):
            return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

        debian = said("dpkg-query", "-W", "-f", "${Version}", "golang-github-mesos-mesos-go-dev")
        pymesos = said(str(self.folder / "pymesos/bin/python"), "-c",
                       "import importlib.metadata as m; print(m.version('pymesos'))")
        return f"mesos-go {debian} ({said('go', 'version').split()[2]}), pymesos {pymesos}, {said('rustc', '--version')}"


class Process:
    """A process whose figures are taken when it ends, and its memory and wake-ups while it runs."""

    def __init__(self, command, env):
        self.errors = open(os.devnull, "wb") if not os.environ.get("PEERS_VERBOSE") else None
        self.process = subprocess.Popen([str(part) for part in command], env=dict(os.environ, **env), text=True,
                                        stdout=subprocess.PIPE, stderr=self.errors)
        self.begun = time.monotonic()
        self.samples = []
        self.threads = 0
        self.peak = 0
        self.switches = []
        self.sampler = threading.Thread(target=self.sample, daemon=True)
        self.sampler.start()

    def sample(self):
        folder = pathlib.Path(f"/proc/{self.process.pid}")
        while self.process.returncode is None:
            try:
                resident = int((folder / "statm").read_text().split()[1]) * PAGE
                # What `wait4` tells is of this program's copy, too, before it became the client.
                self.peak = max(self.peak, self.number(folder / "status", "VmHWM:") / 1024)
                tasks = list((folder / "task").iterdir())
                voluntary = sum(self.number(task / "status", "voluntary_ctxt_switches:") for task in tasks)
            except (OSError, ValueError, IndexError):
                return
            self.threads = max(self.threads, len(tasks))
            now = time.monotonic() - self.begun
            self.samples.append((now, resident))
            self.switches.append((now, voluntary))
            time.sleep(0.02)

    @staticmethod
    def number(file, name):
        for line in file.read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1])
        return 0

    def end(self, seconds):
        """What it printed last, its exit status and its figures."""
        timer = threading.Timer(seconds, self.process.kill)
        timer.start()
        out = self.process.stdout.read()
        _, status, usage = os.wait4(self.process.pid, 0)
        timer.cancel()
        self.process.returncode = os.waitstatus_to_exitcode(status)
        self.sampler.join()
        figures = {
            "cpu_s": usage.ru_utime + usage.ru_stime,
            "user_s": usage.ru_utime,
            "sys_s": usage.ru_stime,
            "rss_mb": self.peak,
            "threads": self.threads,
            **self.growth(),
        }
        return last_json(out), self.process.returncode, figures

    def growth(self):
        """From the first tenth of its time to the last, once it has started."""
        samples = [sample for sample in self.samples if sample[0] > 0.5]
        if len(samples) < 20:
            return {}
        tenth = len(samples) // 10
        first, last = samples[:tenth], samples[-tenth:]
        mean = lambda some: sum(resident for _, resident in some) / len(some) / 2**20
        at = [switches for switches in self.switches if switches[0] > 5]
        minute = {}
        if len(at) > 20:
            minute["switches_per_min"] = (at[-2][1] - at[0][1]) / (at[-2][0] - at[0][0]) * 60
        return {"first_mb": mean(first), "last_mb": mean(last), **minute}


def last_json(text):
    for line in reversed(text.strip().splitlines()):
        try:
            return json.loads(line)
        except ValueError:
            continue
    return {}


def firehose(peers, workload, name):
    mode, number, delay, env, _ = FIREHOSE[workload]
    number //= SHARE.get((workload, name), 1)
    serve = [peers.firehose, "serve", mode, str(number)] + (["--delay", str(delay)] if delay else [])
    server = subprocess.Popen(serve, stdout=subprocess.PIPE, text=True)
    address = server.stdout.readline().strip()
    command, own = peers.clients[name]
    client = Process([*command, address], {**own, **env})
    if name == "demo":
        # It would wait for offers for ever.
        server.wait(timeout=400)
        client.process.terminate()
    said, status, figures = client.end(400)
    try:
        out, _ = server.communicate(timeout=5)
    except subprocess.TimeoutExpired:
        server.kill()
        out, _ = server.communicate()
    server = last_json(out)
    offers = number * 10 if mode == "offers" else 0
    complete = server.get("result") == "ok" and status == (-signal.SIGTERM if name == "demo" else 0)
    if mode == "offers" and not name.startswith("floor"):
        complete &= said.get("offers") == offers and said.get("cpus") == CPUS_PER_200_000 * offers // 200_000
    if mode in ("updates", "latency"):
        complete &= said.get("updates") == number == server.get("distinct")
    events = offers or number
    return {"ok": complete, "events": events, "per_event_us": figures["cpu_s"] / events * 1e6,
            "per_s": events / server["wall_s"] if server.get("wall_s") else None, **figures, "server": server}


class Cluster:
    """A real master and an agent with room for the executor and 100 tasks, as a command that waits for its input's end."""

    def __init__(self, peers):
        self.process = subprocess.Popen(
            [sys.executable, ROOT / "tests/mesos/cluster.py", peers.kit, "--agents", "1",
             "--resources", "cpus:1.1;mem:65536;disk:65536;ports:[31000-40000]",
             "--env", "MESOS_ALLOCATION_INTERVAL=20ms", "--env", "GLOG_minloglevel=2", "--",
             "sh", "-c", "echo $MESOS_MASTER; cat > /dev/null"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.master = self.process.stdout.readline().strip()
        folder = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        children = pathlib.Path(folder).read_text().split()
        self.pids = {self.program(pid): pid for pid in children}

    @staticmethod
    def program(pid):
        command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode()
        return "agent" if "agent" in command else "master" if "master" in command else command

    def cpu(self, program):
        fields = pathlib.Path(f"/proc/{self.pids[program]}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def wait_until_idle(self):
        for _ in range(300):
            with urllib.request.urlopen(f"http://{self.master}/master/frameworks") as answer:
                if not json.load(answer)["frameworks"]:
                    return
            time.sleep(0.1)
        sys.exit("a framework stays")

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


def tasks(peers, cluster, name, executor):
    cluster.wait_until_idle()
    figures_of_executor = peers.folder / "executor.time"
    figures_of_executor.unlink(missing_ok=True)
    time_it = ["/usr/bin/time", "-o", figures_of_executor, "-f", "%U %S %M", *peers.executors[executor]]
    executor_command = "exec " + shlex.join(str(part) for part in time_it)
    command, env = peers.clients[name]
    command = [part for part in command if part != "firehose"]
    before = {program: cluster.cpu(program) for program in ("master", "agent")}
    arguments = ["tasks", cluster.master, str(TASKS), str(PER_ACCEPT), executor_command]
    said, status, figures = Process([*command, *arguments], env).end(180)
    for program, cpu in before.items():
        figures[f"{program}_cpu_s"] = cluster.cpu(program) - cpu
    for _ in range(100):
        if figures_of_executor.exists() and figures_of_executor.stat().st_size:
            user, system, memory = figures_of_executor.read_text().split()[-3:]
            figures |= {"executor_cpu_s": float(user) + float(system), "executor_rss_mb": int(memory) / 1024}
            break
        time.sleep(0.1)
    complete = status == 0 and said.get("tasks") == TASKS and not said.get("failed")
    return {"ok": complete, "events": TASKS, "executor": executor, "per_event_us": figures["cpu_s"] / TASKS * 1e6,
            "per_s": TASKS / said["wall_s"] if said.get("wall_s") else None, **figures}


COLUMNS = {
    "client": None, "per_s": "{:.0f}/s", "cpu_s": "{:.2f}", "per_event_us": "{:.2f}", "rss_mb": "{:.1f}",
}
MORE = {
    "latency": {"p50_us": "{:.0f}", "p99_us": "{:.0f}", "p999_us": "{:.0f}"},
    "idle": {"threads": "{:.0f}", "switches_per_min": "{:.0f}"},
    "tenfold": {"first_mb": "{:.1f}", "last_mb": "{:.1f}"},
    "slow": {"first_mb": "{:.1f}", "last_mb": "{:.1f}"},
    "tasks": {"master_cpu_s": "{:.2f}", "agent_cpu_s": "{:.2f}", "executor": "{}", "executor_cpu_s": "{:.2f}",
              "executor_rss_mb": "{:.1f}"},
}


def report(workload, results):
    columns = {**COLUMNS, **MORE.get(workload, {})}
    print(f"\n### {workload}\n\n| {' | '.join(columns)} | good runs |\n|{' --- |' * (len(columns) + 1)}")
    for name, runs in results.items():
        good = [one for one in runs if one["ok"]]
        cells = [name]
        for column, form in list(columns.items())[1:]:
            values = [one.get(column, one.get("server", {}).get(column)) for one in good]
            values = [value for value in values if value is not None]
            if not values:
                cells.append("-")
            else:
                cells.append(form.format(values[0] if column == "executor" else statistics.median(values)))
        print(f"| {' | '.join(cells)} | {len(good)}/{len(runs)} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--clients", default="")
    parser.add_argument("--ours")
    parser.add_argument("workloads", nargs="*", default=[])
    given = parser.parse_intermixed_args()
    peers = Peers(given.folder.resolve(), given.ours)
    names = given.clients.split(",") if given.clients else list(peers.clients)
    print(f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores; {peers.versions()}", flush=True)
    for workload in given.workloads or [*FIREHOSE, "tasks"]:
        results = {}
        cluster = Cluster(peers) if workload == "tasks" else None
        try:
            # They take turns, so that what else the machine does hits all.
            for _ in range(given.runs):
                for name in names:
                    for label, result in measured(peers, cluster, workload, name):
                        results.setdefault(label, []).append(result)
                        with open(peers.folder / "results.jsonl", "a") as file:
                            load = os.getloadavg()[0]
                            file.write(json.dumps({"workload": workload, "client": label, "load": load, **result}) + "\n")
                        if not result["ok"]:
                            print(f"{workload}: {label} failed: {result.get('server')}", file=sys.stderr, flush=True)
        finally:
            if cluster:
                cluster.stop()
        report(workload, results)
        sys.stdout.flush()


def measured(peers, cluster, workload, name):
    """Each result of a client with a workload, and what it is called."""
    if name == "demo" and workload != "idle":
        return
    if workload == "tasks":
        if name.startswith(("floor", "decode")):
            return
        yield name, tasks(peers, cluster, name, "pymesos")
        if name == "ours":
            yield "ours, own executor", tasks(peers, cluster, name, "ours")
    elif name != "native" and name not in FIREHOSE[workload][4]:
        yield name, firehose(peers, workload, name)


signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
main()

"""A scheduler on pymesos; arguments and output are those of examples/bench_client.rs."""
import base64
import json
import os
import sys
import time

from pymesos import MesosSchedulerDriver, Scheduler

RUNNING = {"TASK_STAGING", "TASK_STARTING", "TASK_RUNNING", "TASK_KILLING", "TASK_UNREACHABLE", "TASK_UNKNOWN"}
CALLBACK = float(os.environ.get("BENCH_CALLBACK_MS", "0")) / 1000


def amount(of, name):
    return sum(resource["scalar"]["value"] for resource in of["resources"] if resource["name"] == name)


def scalar(name, value):
    return {"name": name, "type": "SCALAR", "scalar": {"value": value}}


def end(status=0, **figures):
    print(json.dumps(figures), flush=True)
    os._exit(status)


class Firehose(Scheduler):
    def __init__(self):
        self.offers, self.updates, self.cpus = 0, 0, 0.0

    def resourceOffers(self, driver, offers):
        for offer in offers:
            self.offers += 1
            self.cpus += amount(offer, "cpus")

    def statusUpdate(self, driver, status):
        self.updates += 1
        if CALLBACK:
            time.sleep(CALLBACK)
        driver.acknowledgeStatusUpdate(status)

    def frameworkMessage(self, driver, executor_id, agent_id, data):
        if base64.b64decode(data) == b"bench-done":
            end(offers=self.offers, updates=self.updates, cpus=self.cpus)


class Tasks(Scheduler):
    def __init__(self, tasks, per_accept, command):
        self.tasks, self.per_accept = int(tasks), int(per_accept)
        self.executor = {
            "executor_id": {"value": "bench"},
            "command": {"value": command},
            "resources": [scalar("cpus", 0.1), scalar("mem", 64)],
        }
        self.launched = self.ended = self.failed = self.updates = 0
        self.begun = None

    def next_task(self, offer):
        name = "task-%07d" % self.launched
        self.launched += 1
        return {
            "name": name,
            "task_id": {"value": name},
            "agent_id": offer["agent_id"],
            "executor": self.executor,
            "resources": [scalar("cpus", 0.01), scalar("mem", 1)],
        }

    def resourceOffers(self, driver, offers):
        self.begun = self.begun or time.monotonic()
        for offer in offers:
            if self.launched == self.tasks:
                driver.declineOffer(offer["id"], {"refuse_seconds": 3600})
                continue
            cpus, mem = (amount(offer, "cpus") - 0.1) / 0.01 + 1e-6, amount(offer, "mem") - 64
            fitting = int(max(min(cpus, mem, self.per_accept, self.tasks - self.launched), 0))
            driver.launchTasks(offer["id"], [self.next_task(offer) for _ in range(fitting)], {"refuse_seconds": 0})

    def statusUpdate(self, driver, status):
        self.updates += 1
        driver.acknowledgeStatusUpdate(status)
        if status["state"] in RUNNING:
            return
        self.ended += 1
        self.failed += status["state"] != "TASK_FINISHED"
        if self.ended == self.tasks:
            took = time.monotonic() - self.begun
            end(min(self.failed, 1), tasks=self.ended, failed=self.failed, updates=self.updates, wall_s=took)


mode, master, *rest = sys.argv[1:]
framework = {"user": "root", "name": "bench", "checkpoint": False, "failover_timeout": 0}
scheduler = Firehose() if mode == "firehose" else Tasks(*rest)
MesosSchedulerDriver(scheduler, framework, master, implicit_acknowledgements=False).run()

"""A scheduler on pymesos: launches N tasks with a counter as data, and wants each finished and its data sent back.

    scheduler.py MASTER N EXECUTOR_COMMAND
"""
import sys
import threading

from pymesos import MesosSchedulerDriver, Scheduler, decode_data, encode_data


def scalar(name, value):
    return {"name": name, "type": "SCALAR", "scalar": {"value": value}}


class Counting(Scheduler):
    def __init__(self, tasks, command):
        self.tasks, self.command = tasks, command
        self.launched, self.finished, self.messages = 0, set(), set()
        self.ended, self.failure = threading.Event(), None

    def resourceOffers(self, driver, offers):
        for offer in offers:
            if self.launched == self.tasks:
                driver.declineOffer(offer["id"], {"refuse_seconds": 5})
                continue
            self.launched += 1
            driver.launchTasks(offer["id"], [self.task(offer)], {"refuse_seconds": 0})

    def task(self, offer):
        executor = {"executor_id": {"value": "counting"}, "framework_id": offer["framework_id"], "name": "counting",
                    "command": {"value": self.command}, "resources": [scalar("cpus", 0.1), scalar("mem", 64)]}
        return {"task_id": {"value": f"task-{self.launched}"}, "name": "counting", "agent_id": offer["agent_id"],
                "data": encode_data(str(self.launched).encode()), "executor": executor,
                "resources": [scalar("cpus", 0.1), scalar("mem", 32)]}

    def statusUpdate(self, driver, status):
        print(status["task_id"]["value"], status["state"], status.get("message", ""), flush=True)
        if status["state"] == "TASK_FINISHED":
            self.finished.add(status["task_id"]["value"])
        elif status["state"] not in ("TASK_STARTING", "TASK_RUNNING"):
            self.end(f"{status['task_id']['value']} ended as {status['state']}")
        self.check()

    def frameworkMessage(self, driver, executor_id, agent_id, data):
        self.messages.add(int(decode_data(data)))
        self.check()

    def error(self, driver, message):
        self.end(message)

    def check(self):
        if len(self.finished) == self.tasks and self.messages == set(range(1, self.tasks + 1)):
            self.end(None)

    def end(self, failure):
        self.failure = self.failure or failure
        self.ended.set()


def main():
    master, tasks, command = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    scheduler = Counting(tasks, command)
    framework = {"user": "root", "name": "pymesos", "role": "*", "failover_timeout": 0}
    driver = MesosSchedulerDriver(scheduler, framework, master, use_addict=False)
    driver.start()
    in_time = scheduler.ended.wait(30)
    driver.stop()
    if not in_time:
        scheduler.failure = f"only {len(scheduler.finished)} tasks and {len(scheduler.messages)} messages in 30 s"
    sys.exit(scheduler.failure)


main()

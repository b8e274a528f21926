"""An executor on pymesos: sends the data of each task back as a message, and finishes the task."""
from pymesos import Executor, MesosExecutorDriver


class Echo(Executor):
    def launchTask(self, driver, task):
        driver.sendFrameworkMessage(task["data"])
        driver.sendStatusUpdate({"task_id": task["task_id"], "state": "TASK_FINISHED"})


MesosExecutorDriver(Echo(), use_addict=False).run()

//! What a test does to the executors of an agent.

use super::state::{Agent, Executor};
use crate::proto::{ExecutorId, FrameworkId};

impl Agent {
    /// Whether there was one to kill.
    pub(in crate::local) fn kill_executor(
        &self,
        framework_id: &FrameworkId,
        executor_id: &ExecutorId,
    ) -> bool {
        let executor = self.executor(framework_id, executor_id);
        executor.is_some_and(|executor| {
            executor.kill.cancel();
            true
        })
    }

    /// Whether there was a stream to cut.
    pub(in crate::local) fn cut_stream(
        &self,
        framework_id: &FrameworkId,
        executor_id: &ExecutorId,
    ) -> bool {
        let executor = self.executor(framework_id, executor_id);
        let stream = executor.and_then(|executor| executor.stream.as_ref());
        stream.is_some_and(|stream| {
            stream.cut();
            true
        })
    }

    fn executor(&self, framework_id: &FrameworkId, executor_id: &ExecutorId) -> Option<&Executor> {
        let framework = self.frameworks.get(framework_id)?;
        framework.executors.get(executor_id)
    }
}

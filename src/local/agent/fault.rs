//! What a test does to the executors of an agent.

use bytes::Bytes;

use super::state::{Agent, Executor, ExecutorState};
use crate::local::stream::{EventStream, StreamFault};
use crate::proto::executor::Event;
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
        let stream = self.stream(framework_id, executor_id);
        stream.map(EventStream::cut).is_some()
    }

    /// Whether there was a stream to be cut later.
    pub(in crate::local) fn set_stream_fault(
        &self,
        framework_id: &FrameworkId,
        executor_id: &ExecutorId,
        fault: StreamFault,
    ) -> bool {
        let stream = self.stream(framework_id, executor_id);
        stream.map(|stream| stream.set_fault(Some(fault))).is_some()
    }

    /// Whether there was a stream to write to.
    pub(in crate::local) fn send_raw(
        &self,
        framework_id: &FrameworkId,
        executor_id: &ExecutorId,
        bytes: Bytes,
    ) -> bool {
        let stream = self.stream(framework_id, executor_id);
        stream.map(|stream| stream.send_raw(bytes)).is_some()
    }

    pub(in crate::local) fn subscribed_executors(&self) -> Vec<(FrameworkId, ExecutorId)> {
        let mut subscribed = Vec::new();
        for (framework_id, framework) in &self.frameworks {
            for (executor_id, executor) in &framework.executors {
                if executor.stream.is_some() {
                    subscribed.push((framework_id.clone(), executor_id.clone()));
                }
            }
        }
        subscribed
    }

    pub(in crate::local) fn clear_stream_faults(&self) {
        let frameworks = self.frameworks.values();
        let executors = frameworks.flat_map(|framework| framework.executors.values());
        for stream in executors.filter_map(|executor| executor.stream.as_ref()) {
            stream.set_fault(None);
        }
    }

    fn stream(
        &self,
        framework_id: &FrameworkId,
        executor_id: &ExecutorId,
    ) -> Option<&EventStream<Event>> {
        self.executor(framework_id, executor_id)?.stream.as_ref()
    }

    fn executor(&self, framework_id: &FrameworkId, executor_id: &ExecutorId) -> Option<&Executor> {
        let framework = self.frameworks.get(framework_id)?;
        let executor = framework.executors.get(executor_id);
        executor.filter(|own| own.state != ExecutorState::Terminated)
    }
}

//! What a test does to the master.

use bytes::Bytes;

use super::framework::{Connection, Stream};
use super::state::Master;
use crate::local::stream::StreamFault;
use crate::proto::{FrameworkId, OfferId};

impl Master {
    /// Whether there was a stream to cut.
    pub(in crate::local) fn cut_stream(&self, framework_id: &FrameworkId) -> bool {
        let stream = self.stream(framework_id);
        stream.is_some_and(|stream| {
            stream.events.cut();
            true
        })
    }

    /// Whether there was a stream to write to.
    pub(in crate::local) fn send_raw(&self, framework_id: &FrameworkId, bytes: Bytes) -> bool {
        let stream = self.stream(framework_id);
        stream.is_some_and(|stream| {
            stream.events.send_raw(bytes);
            true
        })
    }

    /// Whether there was a stream to be cut later.
    pub(in crate::local) fn set_stream_fault(
        &self,
        framework_id: &FrameworkId,
        fault: StreamFault,
    ) -> bool {
        let stream = self.stream(framework_id);
        stream.is_some_and(|stream| {
            stream.events.set_fault(Some(fault));
            true
        })
    }

    pub(in crate::local) fn subscribed_frameworks(&self) -> Vec<FrameworkId> {
        let frameworks = self.frameworks.values();
        let subscribed = frameworks.filter(|framework| framework.is_connected());
        subscribed.map(|framework| framework.id.clone()).collect()
    }

    pub(in crate::local) fn clear_stream_faults(&self) {
        for framework in self.frameworks.values() {
            if let Connection::Connected(stream) = &framework.connection {
                stream.events.set_fault(None);
            }
        }
    }

    pub(in crate::local) fn rescind_all(&mut self) {
        let offers: Vec<OfferId> = self.offers.keys().cloned().collect();
        for offer_id in &offers {
            self.rescind(offer_id);
        }
    }

    fn stream(&self, framework_id: &FrameworkId) -> Option<&Stream> {
        match &self.frameworks.get(framework_id)?.connection {
            Connection::Connected(stream) => Some(stream),
            Connection::Recovered | Connection::Disconnected => None,
        }
    }
}

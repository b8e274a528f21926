//! What a test does to the master.

use bytes::Bytes;

use super::framework::{Connection, Stream};
use super::state::Master;
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

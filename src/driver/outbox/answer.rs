//! Calls that are not sent, but shown to whoever stands in for the peer.

use super::Outbox;
use crate::driver::protocol::Protocol;
use crate::driver::receipt::Outcome;

impl<P: Protocol> Outbox<P> {
    /// Ends every call that would be sent now in the way that `stand_in` says.
    pub(in crate::driver) fn answer(&self, stand_in: &mut dyn FnMut(&P::Call) -> Outcome) {
        let mut body = Vec::new();
        while let Some((entry, _)) = self.take(&mut body) {
            let outcome = stand_in(&entry.call);
            match outcome {
                Outcome::Accepted => self.protocol.accepted(&entry.call),
                Outcome::Refused { .. } => self.protocol.refused(&entry.call),
                Outcome::NotSent(_) | Outcome::Unknown(_) => {}
            }
            self.ended(entry, outcome);
        }
    }
}

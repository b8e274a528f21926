//! Who may use a cluster: the settings.

use super::acls::Acls;
use super::builder::LocalClusterBuilder;

impl LocalClusterBuilder {
    /// Sets who may do what. Default: everybody everything.
    ///
    /// A framework's principal is what it states, or what it has proved with a [`credential`](Self::credential); operators
    /// have none unless they [must prove it](Self::authenticate_operators). Agents, and their operator API, refuse nobody.
    ///
    /// Source: `--acls` of the master.
    pub fn acls(mut self, acls: Acls) -> Self {
        self.acls = acls;
        self
    }

    /// Has the master ask operators for a [`credential`](Self::credential), too: on its operator API and its pages.
    /// There must be one.
    ///
    /// Source: `--authenticate_http_readonly` and `--authenticate_http_readwrite` of the master.
    pub fn authenticate_operators(mut self) -> Self {
        self.authenticates_operators = true;
        self
    }
}

//! JSON in Mesos's own form.

/// Reads a message from JSON as Mesos writes it.
pub(crate) fn from_json<M: serde::de::DeserializeOwned>(
    text: &[u8],
) -> Result<M, serde_json::Error> {
    serde_json::from_slice(text)
}

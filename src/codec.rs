//! Records ⇄ messages, in either content type. No I/O.

use bytes::Bytes;

use crate::error::{Error, ErrorKind, Result};

/// How messages are written on the wire.
///
/// Source: the media types of `docs/scheduler-http-api.md`, Apache Mesos 1.11.0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ContentType {
    /// `application/x-protobuf`: compact and exact; the default.
    #[default]
    Protobuf,
    /// `application/json`, in the form that Mesos itself writes: for people reading along.
    #[cfg(feature = "json")]
    Json,
}

impl ContentType {
    /// The media type, exactly as Mesos compares it.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Protobuf => "application/x-protobuf",
            #[cfg(feature = "json")]
            Self::Json => "application/json",
        }
    }
}

/// A message that can be written and read in every content type.
#[cfg(feature = "json")]
pub(crate) trait WireMessage:
    prost::Message
    + Default
    + Clone
    + Send
    + Sync
    + 'static
    + serde::Serialize
    + serde::de::DeserializeOwned
{
}

#[cfg(feature = "json")]
impl<M> WireMessage for M where
    M: prost::Message
        + Default
        + Clone
        + Send
        + Sync
        + 'static
        + serde::Serialize
        + serde::de::DeserializeOwned
{
}

/// A message that can be written and read in every content type.
#[cfg(not(feature = "json"))]
pub(crate) trait WireMessage:
    prost::Message + Default + Clone + Send + Sync + 'static
{
}

#[cfg(not(feature = "json"))]
impl<M> WireMessage for M where M: prost::Message + Default + Clone + Send + Sync + 'static {}

/// Writes `message`; [`ErrorKind::Config`] if it has no form in this content type.
pub(crate) fn encode<M: WireMessage>(content_type: ContentType, message: &M) -> Result<Bytes> {
    let mut out = Vec::new();
    encode_to(content_type, message, &mut out)?;
    Ok(out.into())
}

/// Writes `message` to the end of `out`; [`ErrorKind::Config`] if it has no form in this content type.
pub(crate) fn encode_to<M: WireMessage>(
    content_type: ContentType,
    message: &M,
    out: &mut Vec<u8>,
) -> Result<()> {
    let written = match content_type {
        ContentType::Protobuf => message.encode(out).map_err(Box::from),
        #[cfg(feature = "json")]
        ContentType::Json => serde_json::to_writer(out, message).map_err(Box::from),
    };
    written.map_err(|error: Box<dyn std::error::Error + Send + Sync>| {
        Error::caused_by(ErrorKind::Config, "message cannot be written", error)
    })
}

/// Reads one record; [`ErrorKind::Protocol`] if it is not such a message.
///
/// Into a box, for it is large, and handed on several times. Bytes in it are copied: else a status that is kept would keep
/// all that was read with it.
pub(crate) fn decode<M: WireMessage>(content_type: ContentType, record: &[u8]) -> Result<Box<M>> {
    let size = record.len();
    let failed = |what: &str, source: Box<dyn std::error::Error + Send + Sync>| {
        let context = format!("record of {size} bytes does not decode as {what}");
        Error::caused_by(ErrorKind::Protocol, context, source)
    };
    match content_type {
        ContentType::Protobuf => {
            let mut message = Box::<M>::default();
            match message.merge(record) {
                Ok(()) => Ok(message),
                Err(error) => Err(failed("protobuf", error.into())),
            }
        }
        #[cfg(feature = "json")]
        ContentType::Json => {
            let message = crate::proto::from_json(record).map(Box::new);
            message.map_err(|error| failed("JSON", error.into()))
        }
    }
}

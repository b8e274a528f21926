//! Resources to the text that can be read again.

use super::amount::Amount;
use super::entry::Entry;
use super::{Resources, parse};
use crate::error::{Error, ErrorKind, Result};

impl Resources {
    /// As text that [`parse`](Self::parse) reads, and agents take as `--resources`: `cpus(web):2;ports:[31000-31999]`.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] naming the first resource of which the text cannot tell everything: one with a dynamic or
    /// refined reservation, a disk's or provider's, revocable, shared or allocated; or with a name, role or item in which
    /// there are separators. `to_json` can tell everything.
    ///
    /// # Examples
    /// ```
    /// use mesos_framework::resources::Resources;
    ///
    /// let all = Resources::parse("cpus(web):0.50; zones:{a, b}; ports:[5-6, 7-9]")?;
    /// let text = all.to_text()?;
    /// assert_eq!(text, "cpus(web):0.5;zones:{a,b};ports:[5-9]");
    /// assert_eq!(Resources::parse(&text)?, all);
    /// assert!(all.allocated_to("web").to_text().is_err());
    /// # Ok::<(), mesos_framework::Error>(())
    /// ```
    ///
    /// Source: `docs/attributes-resources.md`.
    pub fn to_text(&self) -> Result<String> {
        let pieces = self.entries.iter().map(piece).collect::<Result<Vec<_>>>()?;
        let text = pieces.join(";");
        Self::parse(&text)?;
        Ok(text)
    }
}

fn piece(entry: &Entry) -> Result<String> {
    let name = &entry.kind.name;
    let value = match &entry.amount {
        Amount::Scalar(thousandths) => decimal(*thousandths),
        ranges @ Amount::Ranges(_) => ranges.to_string().replace(' ', ""),
        Amount::Set(items) => format!("{{{}}}", items.join(",")),
    };
    let text = match entry.kind.reservations.as_slice() {
        [only] => format!("{name}({}):{value}", only.role()),
        _ => format!("{name}:{value}"),
    };
    let is_one = !text.contains(';') && !text.starts_with('[');
    let read = is_one
        .then(|| parse::resource(&text, super::format::UNRESERVED).ok())
        .flatten()
        .and_then(|resource| Entry::from_proto(&resource));
    match read {
        Some(read) if read.kind == entry.kind && read.amount == entry.amount => Ok(text),
        _ => {
            let context = format!("resource '{entry}' cannot be said in text");
            Err(Error::new(ErrorKind::Config, context))
        }
    }
}

/// All digits, without zeros at the end.
fn decimal(thousandths: i64) -> String {
    let (whole, rest) = (thousandths / 1000, thousandths % 1000);
    let text = format!("{whole}.{rest:03}");
    let text = text.trim_end_matches('0');
    text.trim_end_matches('.').to_owned()
}

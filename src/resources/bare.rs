//! What volumes are made of.

use crate::proto::Resource;

/// The disk that a persistent volume is made of.
pub(crate) fn bare(volume: &Resource) -> Resource {
    let mut bare = volume.clone();
    bare.shared = None;
    if let Some(disk) = &mut bare.disk {
        disk.persistence = None;
        disk.volume = None;
        if disk.source.is_none() {
            bare.disk = None;
        }
    }
    bare
}

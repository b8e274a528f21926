//! Resources from text: `cpus:4;ports(web):[31000-31099];zones:{a,b}`.

use crate::proto::resource::{ReservationInfo, reservation_info};
use crate::proto::{self, value};

/// The pieces between semicolons, without those that are blank.
pub(super) fn pieces(text: &str) -> impl Iterator<Item = &str> {
    text.split(';')
        .map(str::trim)
        .filter(|piece| !piece.is_empty())
}

/// One piece, or why it is none.
pub(super) fn resource(piece: &str) -> Result<proto::Resource, String> {
    let (head, value) = piece
        .split_once(':')
        .ok_or("expecting '<name>:<value>' or '<name>(<role>):<value>'")?;
    let (name, role) = name_and_role(head.trim())?;
    let mut resource = proto::Resource {
        name: name.to_owned(),
        ..Default::default()
    };
    if let Some(role) = role.filter(|role| *role != "*") {
        resource.reservations = vec![ReservationInfo {
            r#type: Some(reservation_info::Type::Static.into()),
            role: Some(role.to_owned()),
            ..Default::default()
        }];
    }
    write_value(value.trim(), &mut resource)?;
    super::format::validate(&resource)?;
    Ok(resource)
}

fn name_and_role(head: &str) -> Result<(&str, Option<&str>), String> {
    let (name, role) = match head.split_once('(') {
        None => (head, None),
        Some((name, rest)) => {
            let role = rest
                .strip_suffix(')')
                .ok_or("the role's ')' is missing")?
                .trim();
            if role.is_empty() {
                return Err("the role is empty".to_owned());
            }
            (name.trim(), Some(role))
        }
    };
    if name.is_empty() {
        return Err("the name is empty".to_owned());
    }
    Ok((name, role))
}

fn write_value(text: &str, resource: &mut proto::Resource) -> Result<(), String> {
    if let Some(inner) = text.strip_prefix('[') {
        let inner = inner
            .strip_suffix(']')
            .ok_or("the closing ']' is missing")?;
        resource.r#type = value::Type::Ranges.into();
        resource.ranges = Some(ranges(inner)?);
    } else if let Some(inner) = text.strip_prefix('{') {
        let inner = inner
            .strip_suffix('}')
            .ok_or("the closing '}' is missing")?;
        let items = inner
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty());
        resource.r#type = value::Type::Set.into();
        resource.set = Some(value::Set {
            item: items.map(str::to_owned).collect(),
        });
    } else {
        let value: f64 = text.parse().map_err(|_| {
            format!("'{text}' is neither a number nor '[<begin>-<end>, …]' nor '{{<item>, …}}'")
        })?;
        if !value.is_finite() {
            return Err(format!("'{text}' is not finite"));
        }
        resource.r#type = value::Type::Scalar.into();
        resource.scalar = Some(value::Scalar { value });
    }
    Ok(())
}

pub(super) fn ranges(inner: &str) -> Result<value::Ranges, String> {
    let mut range = Vec::new();
    for piece in inner
        .split(',')
        .map(str::trim)
        .filter(|piece| !piece.is_empty())
    {
        let bounds = piece.split_once('-').and_then(|(begin, end)| {
            let begin = begin.trim().parse().ok()?;
            Some(value::Range {
                begin,
                end: end.trim().parse().ok()?,
            })
        });
        range.push(bounds.ok_or_else(|| format!("'{piece}' is not '<begin>-<end>'"))?);
    }
    Ok(value::Ranges { range })
}

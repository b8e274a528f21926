//! The schema against tables taken from the descriptors of Mesos 1.11.0 itself (`tests/data/mesos-v1-*.tsv`): Mesos has
//! to understand every byte, so each field and each enum value is compared, both ways.

use std::collections::BTreeSet;

use mesos_framework::proto::FILE_DESCRIPTOR_SET;
use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    FileDescriptorSet,
};

const FIELDS: &str = include_str!("../data/mesos-v1-fields.tsv");
const ENUMS: &str = include_str!("../data/mesos-v1-enums.tsv");

#[test]
fn fields_are_those_of_mesos() {
    let mut fields = BTreeSet::new();
    each_type(&mut |file, scope, message, _| {
        let Some(message) = message else { return };
        let place = [file.name(), scope];
        fields.extend(
            message
                .field
                .iter()
                .map(|field| row(&place, &columns(message, field))),
        );
        if message.field.is_empty() {
            fields.insert(row(&place, &[""; 8]));
        }
    });
    assert_same(&table(FIELDS), &fields);
}

#[test]
fn enums_are_those_of_mesos() {
    let mut values = BTreeSet::new();
    each_type(&mut |file, scope, _, declared| {
        let Some(declared) = declared else { return };
        let place = [file.name(), scope];
        values.extend(declared.value.iter().map(|value| {
            let deprecated = value
                .options
                .as_ref()
                .is_some_and(|options| options.deprecated());
            row(
                &place,
                &[
                    value.name(),
                    &value.number().to_string(),
                    mark(deprecated, "deprecated"),
                ],
            )
        }));
    });
    assert_same(&table(ENUMS), &values);
}

/// The rows of a table, without its header.
fn table(text: &str) -> BTreeSet<String> {
    text.lines().skip(1).map(str::to_owned).collect()
}

/// Names every row that only one side has.
fn assert_same(mesos: &BTreeSet<String>, ours: &BTreeSet<String>) {
    assert!(!mesos.is_empty(), "the table has rows");
    let missing = mesos.difference(ours).map(|row| format!("- {row}"));
    let surplus = ours.difference(mesos).map(|row| format!("+ {row}"));
    let difference: Vec<_> = missing.chain(surplus).collect();
    assert!(
        difference.is_empty(),
        "the schema differs from Mesos (-: Mesos only, +: here only)\n{}",
        difference.join("\n")
    );
}

type Visit<'a> = dyn FnMut(&FileDescriptorProto, &str, Option<&DescriptorProto>, Option<&EnumDescriptorProto>)
    + 'a;

/// Calls `visit` with every message and every enum, and its full name.
fn each_type(visit: &mut Visit<'_>) {
    let descriptors = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).expect("descriptors decode");
    for file in &descriptors.file {
        each_type_in(
            file,
            file.package(),
            &file.message_type,
            &file.enum_type,
            visit,
        );
    }
}

fn each_type_in(
    file: &FileDescriptorProto,
    scope: &str,
    messages: &[DescriptorProto],
    enums: &[EnumDescriptorProto],
    visit: &mut Visit<'_>,
) {
    for declared in enums {
        visit(
            file,
            &format!("{scope}.{}", declared.name()),
            None,
            Some(declared),
        );
    }
    for message in messages {
        let name = format!("{scope}.{}", message.name());
        visit(file, &name, Some(message), None);
        each_type_in(file, &name, &message.nested_type, &message.enum_type, visit);
    }
}

/// Name, number, label, type, default, oneof, packed, deprecated: the columns after file and message.
fn columns(message: &DescriptorProto, field: &FieldDescriptorProto) -> [String; 8] {
    let label = match field.label() {
        Label::Optional => "optional",
        Label::Required => "required",
        Label::Repeated => "repeated",
    };
    let oneof = field.oneof_index.map(|index| {
        message.oneof_decl[usize::try_from(index).expect("indices count from zero")].name()
    });
    let options = field.options.as_ref();
    [
        field.name().to_owned(),
        field.number().to_string(),
        label.to_owned(),
        type_name(field),
        field.default_value().to_owned(),
        oneof.unwrap_or_default().to_owned(),
        mark(options.is_some_and(|options| options.packed()), "packed").to_owned(),
        mark(
            options.is_some_and(|options| options.deprecated()),
            "deprecated",
        )
        .to_owned(),
    ]
}

fn type_name(field: &FieldDescriptorProto) -> String {
    match field.r#type() {
        Type::Message | Type::Enum => field.type_name().trim_start_matches('.').to_owned(),
        scalar => scalar
            .as_str_name()
            .trim_start_matches("TYPE_")
            .to_lowercase(),
    }
}

fn mark(is: bool, word: &str) -> &str {
    if is { word } else { "" }
}

fn row<T: AsRef<str>>(place: &[&str], columns: &[T]) -> String {
    let columns = columns.iter().map(T::as_ref);
    let cells: Vec<_> = place.iter().copied().chain(columns).collect();
    cells.join("\t")
}

//! Build-time generator of the JSON form of the messages, see `json.rs` beside it.
//!
//! A message becomes one `impl Message`, a table of its fields and two flat functions. How a value of some type is
//! written and read is picked by type inference among the impls of `Form`; only for enums, which are `i32` in Rust, does
//! the generator name the type. So it knows nothing of how prost maps types, and a mismatch does not compile.

use heck::{ToSnakeCase as _, ToUpperCamelCase as _};
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet};

/// Files of other packages (`google.protobuf`) are left to hand-written impls.
const PACKAGE: &str = "mesos.v1";

/// The names of fields that Rust reserves, as far as schemas are likely to use them.
const KEYWORDS: [&str; 22] = [
    "abstract", "as", "async", "const", "do", "dyn", "enum", "final", "fn", "for", "if", "in",
    "let", "loop", "match", "mod", "move", "mut", "ref", "static", "type", "use",
];

/// How many required fields the run-time support keeps track of: the bits of its `u64`.
const MAX_REQUIRED: usize = 64;

/// Rust source of the `serde` implementations for every message of `descriptors`.
///
/// # Panics
/// On a schema that has no form: a broken build, never a broken program.
pub(crate) fn generate(descriptors: &FileDescriptorSet) -> String {
    let mut output = Output::default();
    for file in &descriptors.file {
        let package = file.package();
        if package == PACKAGE || package.starts_with(&format!("{PACKAGE}.")) {
            output.types(package, &file.message_type, &file.enum_type);
        }
    }
    output.finish()
}

#[derive(Default)]
struct Output {
    impls: String,
    messages: Vec<String>,
    enums: Vec<String>,
}

impl Output {
    /// Adds the types declared directly in `scope`: a package or a message.
    fn types(&mut self, scope: &str, messages: &[DescriptorProto], enums: &[EnumDescriptorProto]) {
        for message in messages.iter().filter(|message| !is_map_entry(message)) {
            self.message(&format!("{scope}.{}", message.name()), message);
        }
        let names = enums.iter().map(EnumDescriptorProto::name);
        self.enums
            .extend(names.map(|name| rust_path(&format!("{scope}.{name}"))));
    }

    fn message(&mut self, name: &str, message: &DescriptorProto) {
        self.impls += &message_impl(name, message);
        self.messages.push(rust_path(name));
        self.types(name, &message.nested_type, &message.enum_type);
    }

    fn finish(self) -> String {
        let list = |of: &[String]| of.join(",\n    ");
        format!(
            "{}objects! {{\n    {}\n}}\n\nenums! {{\n    {}\n}}\n",
            self.impls,
            list(&self.messages),
            list(&self.enums)
        )
    }
}

fn message_impl(name: &str, message: &DescriptorProto) -> String {
    // Required fields first: the run-time support tells them by their index.
    let (mut fields, rest): (Vec<_>, Vec<_>) = message
        .field
        .iter()
        .map(|field| Field::new(name, message, field))
        .partition(|field| matches!(field.shape, Shape::Required));
    let required = fields.len();
    assert!(
        required <= MAX_REQUIRED,
        "{name} has {required} required fields"
    );
    fields.extend(rest);

    let mut text = format!("impl Message for {} {{\n", rust_path(name));
    text += &format!("    const NAME: &'static str = \"{name}\";\n");
    if !fields.is_empty() {
        text += &table_and_functions(&fields, required);
    }
    text + "}\n\n"
}

fn table_and_functions(fields: &[Field], required: usize) -> String {
    let join = |lines: Vec<String>| lines.join("\n");
    let names: Vec<_> = fields
        .iter()
        .map(|field| format!("{:?}", field.name))
        .collect();
    let writes = join(
        fields
            .iter()
            .map(|field| format!("        {}", field.write()))
            .collect(),
    );
    let reads = fields.iter().enumerate();
    let reads = join(
        reads
            .map(|(index, field)| format!("            {index} => {},", field.read()))
            .collect(),
    );
    format!(
        "    const FIELDS: &'static [&'static str] = &[{names}];
    const REQUIRED: usize = {required};

    fn write<M: SerializeMap>(&self, to: &mut M) -> Result<(), M::Error> {{
{writes}
        Ok(())
    }}

    fn read<'de, A: MapAccess<'de>>(&mut self, field: usize, from: &mut A) -> Result<bool, A::Error> {{
        match field {{
{reads}
            _ => skip(from),
        }}
    }}
",
        names = names.join(", "),
    )
}

/// One field, as the generated code handles it.
struct Field<'a> {
    /// As in the schema, which is as in JSON.
    name: &'a str,
    /// As in Rust: of the oneof, if it is a member of one.
    member: String,
    /// The `Form` of one value.
    form: String,
    shape: Shape,
}

enum Shape {
    Required,
    Optional,
    Repeated,
    Map,
    /// Member of a oneof: the path of its variant.
    Variant(String),
}

impl<'a> Field<'a> {
    fn new(
        message_name: &str,
        message: &'a DescriptorProto,
        field: &'a FieldDescriptorProto,
    ) -> Self {
        let map = map_entry(message, field);
        let oneof = field.oneof_index.map(|index| {
            let index = usize::try_from(index).expect("oneof indices count from zero");
            message.oneof_decl[index].name()
        });
        let shape = match (map, oneof, field.label()) {
            (Some(_), _, _) => Shape::Map,
            (None, Some(oneof), _) => Shape::Variant(format!(
                "{}::{}",
                rust_path(&format!("{message_name}.{oneof}")),
                field.name().to_upper_camel_case()
            )),
            (None, None, Label::Required) => Shape::Required,
            (None, None, Label::Optional) => Shape::Optional,
            (None, None, Label::Repeated) => Shape::Repeated,
        };
        Self {
            name: field.name(),
            member: rust_field(oneof.unwrap_or(field.name())),
            form: map.map_or_else(|| form(field), map_form),
            shape,
        }
    }

    fn write(&self) -> String {
        let Self {
            name,
            member,
            form,
            shape,
        } = self;
        match shape {
            Shape::Required => format!("{form}::write_required({name:?}, &self.{member}, to)?;"),
            Shape::Optional => {
                format!("{form}::write_optional({name:?}, self.{member}.as_ref(), to)?;")
            }
            Shape::Repeated => format!("{form}::write_repeated({name:?}, &self.{member}, to)?;"),
            Shape::Map => format!("{form}::write_map({name:?}, &self.{member}, to)?;"),
            Shape::Variant(variant) => format!(
                "if let Some({variant}(value)) = &self.{member} {{ {form}::write_optional({name:?}, Some(value), to)?; }}"
            ),
        }
    }

    /// An expression that says whether the field is set now.
    fn read(&self) -> String {
        let Self {
            member,
            form,
            shape,
            ..
        } = self;
        match shape {
            Shape::Required => format!("{form}::read_required(&mut self.{member}, from)"),
            Shape::Optional => format!("{form}::read_optional(&mut self.{member}, from)"),
            Shape::Repeated => format!("{form}::read_repeated(&mut self.{member}, from)"),
            Shape::Map => format!("{form}::read_map(&mut self.{member}, from)"),
            Shape::Variant(variant) => {
                format!("{form}::read_variant(&mut self.{member}, {variant}, from)")
            }
        }
    }
}

fn form(field: &FieldDescriptorProto) -> String {
    match field.r#type() {
        Type::Enum => format!(
            "Named::<{}>",
            rust_path(field.type_name().trim_start_matches('.'))
        ),
        _ => "Plain".to_owned(),
    }
}

/// The form of the values; keys are always strings.
fn map_form(entry: &DescriptorProto) -> String {
    let field = |number| entry.field.iter().find(|field| field.number() == number);
    let key = field(1).expect("a map entry has a key");
    assert!(
        key.r#type() == Type::String,
        "keys of {} are strings",
        entry.name()
    );
    form(field(2).expect("a map entry has a value"))
}

/// The type of the entries, if `field` is a map.
fn map_entry<'a>(
    message: &'a DescriptorProto,
    field: &FieldDescriptorProto,
) -> Option<&'a DescriptorProto> {
    let (_, name) = field.type_name().rsplit_once('.')?;
    let mut nested = message.nested_type.iter();
    nested.find(|nested| is_map_entry(nested) && nested.name() == name)
}

fn is_map_entry(message: &DescriptorProto) -> bool {
    message
        .options
        .as_ref()
        .is_some_and(|options| options.map_entry())
}

/// The path of a type of the schema: packages and enclosing messages are modules.
fn rust_path(name: &str) -> String {
    let name = name
        .strip_prefix(PACKAGE)
        .expect("types are of the package");
    let (modules, name) = name.rsplit_once('.').expect("a type has a name");
    let modules = modules
        .split('.')
        .skip(1)
        .map(|module| format!("::{}", rust_field(module)));
    format!(
        "crate::proto{}::{}",
        modules.collect::<String>(),
        name.to_upper_camel_case()
    )
}

fn rust_field(name: &str) -> String {
    let name = name.to_snake_case();
    if KEYWORDS.contains(&name.as_str()) {
        format!("r#{name}")
    } else {
        name
    }
}

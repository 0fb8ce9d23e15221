//! `podlet explain`: what a field means, in Kubernetes' words and kubectl's layout. The words are those of k8s-openapi's
//! schema, which are the API's; what podlet does with the field is said on stderr where it is not just that.

mod layout;
mod schema;

use clap::Args;

use super::resource::Kind;
use super::{Caller, Failure};
use crate::manifest::fields::{Row, Treatment};
use layout::Page;
use schema::{Field, Schema};

/// The words of `explain`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  podlet explain pod                            its fields
  podlet explain pod.spec.containers.livenessProbe
  podlet explain pods.spec --recursive          fields of fields, a line each
  podlet explain configmap.data")]
pub struct Words {
    /// TYPE or TYPE.FIELD.FIELD…: pod.spec.containers.
    #[arg(value_name = "FIELD")]
    pub path: Vec<String>,
    /// Fields of fields, without their descriptions.
    #[arg(short = 'R', long)]
    pub recursive: bool,
    /// v1.
    #[arg(long, value_name = "VERSION")]
    pub api_version: Option<String>,
}

/// Explains.
pub fn run(words: &Words, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let path = match words.path.as_slice() {
        [] => {
            return Err(Failure::error(
                "You must specify the type of resource to explain. Use \"podlet api-resources\" for a complete list of \
                 supported resources.\n",
            ));
        }
        [path] => path,
        _ => return Err(Failure::error("We accept only this format: explain RESOURCE\n")),
    };
    let mut fields = path.split('.').filter(|field| !field.is_empty());
    let word = fields.next().unwrap_or_default();
    // kubectl says this without its `error:`.
    let kind = Kind::from_word(word)
        .map_err(|_| Failure::Text(format!("the server doesn't have a resource type {word:?}")))?;
    if let Some(version) = words.api_version.as_deref().filter(|version| !matches!(*version, "" | "v1")) {
        let (group, version) = version.split_once('/').unwrap_or(("", version));
        let resource = kind.plural();
        return Err(Failure::Error(format!("couldn't find resource for \"{group}/{version}, Resource={resource}\"")));
    }
    caller.print(&format!("KIND:       {}\nVERSION:    v1\n\n", kind.name()))?;
    let schema = Schema::of(kind);
    let fields: Vec<&str> = fields.collect();
    let (field, row) = find(&schema, kind, &fields)?;
    let mut page = Page::default();
    if let Some(name) = fields.last() {
        page.field(name, &schema.type_of(&field), schema.values_of(row));
    }
    page.description(&schema.description(&field));
    page.fields(&schema, &field, row.map(|row| &row.kind).or(kind_of(kind).as_ref()), words.recursive);
    caller.print(&page.finish())?;
    if let Some(note) = row.and_then(|row| note(row, &fields.join("."))) {
        caller.out.flush()?;
        caller.notice(&note);
    }
    Ok(0)
}

/// The field at the end of the path, and its row of the field table where it has one.
fn find<'s>(schema: &'s Schema, kind: Kind, fields: &[&str]) -> Result<(Field<'s>, Option<&'static Row>), Failure> {
    let mut field = schema.root();
    let mut of = kind_of(kind);
    let mut row = None;
    for name in fields {
        let inside = schema.inside(&field);
        field = inside
            .and_then(|inside| schema.property(&inside, name))
            .ok_or_else(|| Failure::Error(format!("field {:?} does not exist", fields.last().unwrap_or(name))))?;
        row = of.as_ref().and_then(schema::object_of).and_then(|object| object.row(name));
        of = row.map(|row| row.kind);
    }
    Ok((field, row))
}

fn kind_of(kind: Kind) -> Option<crate::manifest::fields::Type> {
    use crate::manifest::fields::{CONFIG_MAP, POD, SECRET, Type};
    match kind {
        Kind::Pod => Some(Type::Object(&POD)),
        Kind::ConfigMap => Some(Type::Object(&CONFIG_MAP)),
        Kind::Secret => Some(Type::Object(&SECRET)),
        Kind::Event => None,
    }
}

/// What podlet does with it, where its description alone would mislead.
fn note(row: &Row, path: &str) -> Option<String> {
    let what = match row.treatment {
        Treatment::Later => "is not carried out by podlet yet: a pod with it is refused",
        Treatment::Forbidden => "is not to be set here: a pod with it is refused, as by Kubernetes",
        Treatment::Refused => "cannot be honoured on one machine: a pod with it is refused",
        Treatment::NoMeaning | Treatment::Warned | Treatment::Told(_) => {
            "means nothing on one machine: podlet keeps it, and nothing follows"
        }
        _ => return None,
    };
    Some(format!("Note: {path} {what}"))
}

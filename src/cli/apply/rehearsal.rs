//! `podlet apply --dry-run`: what would become of each object. Nothing is changed.

use k8s_openapi::api::core::v1::{ConfigMap, Secret};

use super::super::output::Output;
use super::super::print::wire;
use super::super::resource::Kind;
use super::super::{Caller, Failure, print, stored};
use super::change::{self, Change, compare};
use super::object::same_object;
use super::{Outcome, pod, show};
use crate::manifest::field::FieldError;
use crate::manifest::{Object, update, verdict};

/// `--dry-run=client`.
pub fn on_the_client(objects: &[Object], output: &Output, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let mut judged = Vec::new();
    for object in objects {
        judged.push((object, fate(object, caller)?.0));
    }
    tell(&judged, "(dry run)", output, caller)
}

/// `--dry-run=server`: the objects with their defaults, or the Status of the first that cannot be changed so.
pub fn on_the_server(
    objects: &[Object],
    replace: bool,
    output: &Output,
    caller: &mut Caller<'_>,
) -> Result<u8, Failure> {
    let mut judged = Vec::new();
    for object in objects {
        let (outcome, errors) = fate(object, caller)?;
        if errors.is_empty() {
            judged.push((object, outcome));
        } else if replace {
            judged.push((object, Outcome::Replaced));
        } else {
            return refuse(object, &errors, output, caller);
        }
    }
    tell(&judged, "(server dry run)", output, caller)
}

fn refuse(object: &Object, errors: &[FieldError], output: &Output, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let name = object.metadata().name.as_deref().unwrap_or_default();
    if let Some(kind) = verdict::Kind::named(object.kind()) {
        let status = serde_json::to_value(verdict::refusal(kind, name, errors)).unwrap_or_default();
        match output {
            Output::Json => print::json(&status, caller.out)?,
            Output::Yaml => print::yaml(&status, caller.out)?,
            _ => {}
        }
    }
    Err(Failure::Text(change::invalid(object.kind(), name, errors)))
}

fn tell(judged: &[(&Object, Outcome)], note: &str, output: &Output, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let mut shown = Vec::new();
    for (object, outcome) in judged {
        let name = object.metadata().name.as_deref().unwrap_or_default();
        let full_name = format!("{}/{name}", object.kind().to_lowercase());
        match output {
            Output::Table => caller.print(&format!("{full_name} {} {note}\n", outcome.word()))?,
            Output::Name => caller.print(&format!("{full_name}\n"))?,
            _ => shown.push(wire::object(object)),
        }
    }
    show(shown, output, caller)?;
    Ok(0)
}

/// What would become of an object, and why it may not.
fn fate(object: &Object, caller: &Caller<'_>) -> Result<(Outcome, Vec<FieldError>), Failure> {
    let name = object.metadata().name.as_deref().unwrap_or_default();
    let namespace = object.metadata().namespace.as_deref().unwrap_or("default");
    let of_change = |same: bool, errors: Vec<FieldError>| match same {
        true => (Outcome::Unchanged, Vec::new()),
        false => (Outcome::Configured, errors),
    };
    let fate = match object {
        Object::ConfigMap(new) => stored::find::<ConfigMap>(&caller.paths, Kind::ConfigMap, namespace, name)?
            .map(|old| of_change(same_object(&old, &**new), update::config_map(new, &old))),
        Object::Secret(new) => stored::find::<Secret>(&caller.paths, Kind::Secret, namespace, name)?
            .map(|old| of_change(same_object(&old, &**new), update::secret(new, &old))),
        Object::Pod(new) => pod::manifest(&caller.paths, namespace, name)?.map(|old| {
            let mut new = new.clone();
            change::keep_marks(&mut new.metadata, &old.metadata);
            match compare(&old, &new) {
                Change::None => (Outcome::Unchanged, Vec::new()),
                Change::InPlace => (Outcome::Configured, Vec::new()),
                Change::Refused(errors) => (Outcome::Configured, errors),
            }
        }),
    };
    Ok(fate.unwrap_or((Outcome::Created, Vec::new())))
}

//! `--copy-to`: a copy of the pod with another command or image, or with a container more, as kubectl makes it.

use k8s_openapi::api::core::v1::{Pod, PodSpec};
use serde_json::{Map, Value, json};

use super::super::ask;
use super::super::ending::{self, Way};
use super::super::everywhere::Everywhere;
use super::super::{Caller, Failure, files, replace};
use super::custom::Custom;
use super::profile::{self, Profile};
use super::{Words, pairs};
use crate::image::Reference;
use crate::manifest::{Object, Options, Source};

/// Makes the copy; answers it and the container to be attached to.
pub fn make(
    words: &Words,
    profile: Profile,
    custom: &Custom,
    manifest: &Pod,
    name: &str,
    everywhere: &Everywhere,
    caller: &mut Caller<'_>,
) -> Result<(Pod, Option<String>), Failure> {
    let (value, container) = describe(words, (profile, custom), manifest, name, caller)?;
    let source = Source { name: "debug".to_owned(), bytes: serde_json::to_vec(&value).unwrap_or_default() };
    let options = Options { namespace: everywhere.namespace.clone(), ..Options::default() };
    let objects = files::accept(source, &options, caller)?;
    let Some(object @ Object::Pod(made)) = objects.first() else {
        return Err(Failure::error("the copy is no Pod"));
    };
    let added = made.spec.iter().flat_map(|spec| &spec.containers).find(|one| Some(&one.name) == container.as_ref());
    let warning = added.and_then(|one| profile::warning(made, one.security_context.as_ref()));
    if let Some(warning) = warning {
        caller.notice(warning);
    }
    let choices = replace::usual_choices(everywhere, caller)?;
    replace::make(object, &choices, caller)?;
    if words.replace {
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        let (namespace, name) = (text(&manifest.metadata.namespace), text(&manifest.metadata.name));
        if let Some(claim) = ask::find_claim(&caller.paths, &namespace, &name)? {
            ending::ask(&caller.paths, &claim, Way { grace_seconds: Some(0), ..Way::default() })?;
        }
    }
    let namespace = made.metadata.namespace.clone().unwrap_or_else(|| everywhere.namespace().to_owned());
    let seen = ask::pod(&caller.paths, &namespace, name)?;
    Ok((seen.pod, container))
}

/// The copy as a manifest.
fn describe(
    words: &Words,
    (profile, custom): (Profile, &Custom),
    manifest: &Pod,
    name: &str,
    caller: &mut Caller<'_>,
) -> Result<(Value, Option<String>), Failure> {
    let mut metadata = Map::new();
    metadata.insert("name".to_owned(), json!(name));
    metadata.insert("namespace".to_owned(), json!(manifest.metadata.namespace));
    let own = |key: &str| key.starts_with("podlet.dev/") || key == "kubectl.kubernetes.io/last-applied-configuration";
    if words.keep_labels {
        metadata.insert("labels".to_owned(), json!(manifest.metadata.labels));
    }
    if words.keep_annotations || profile == Profile::Legacy {
        let all = manifest.metadata.annotations.iter().flatten().filter(|(key, _)| !own(key));
        metadata.insert("annotations".to_owned(), all.map(|(key, value)| (key.clone(), json!(value))).collect());
    }
    let mut spec = manifest.spec.clone().unwrap_or_default();
    change_spec(words, profile, &mut spec)?;
    let mut copy = manifest.clone();
    copy.spec = Some(spec.clone());
    let mut spec = serde_json::to_value(spec).unwrap_or_default();
    let container = change_container(words, (profile, custom), &copy, &mut spec, caller)?;
    Ok((json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}), container))
}

/// What is said of the pod as a whole.
fn change_spec(words: &Words, profile: Profile, spec: &mut PodSpec) -> Result<(), Failure> {
    spec.ephemeral_containers = None;
    spec.node_name = None;
    if let Some(share) = words.share_processes {
        spec.share_process_namespace = Some(share);
    }
    let images = pairs(&words.set_image)?;
    for (container, image) in &images {
        if Reference::parse(image).is_err() {
            return Err(Failure::Error(format!(
                "invalid image name {image:?} for container {container:?}: invalid reference format"
            )));
        }
    }
    let image = |name: &str| images.iter().find(|(of, _)| of == name).or(images.iter().find(|(of, _)| of == "*"));
    for container in &mut spec.containers {
        if let Some((_, image)) = image(&container.name) {
            container.image = Some(image.clone());
        }
    }
    // As kubectl: a copy of which only images are said is a copy in all else.
    let only_images = words.image.is_none() && words.command.is_empty() && words.container.is_none();
    if only_images || profile == Profile::Legacy {
        return Ok(());
    }
    for container in &mut spec.containers {
        let probes = [
            (words.keep_liveness, &mut container.liveness_probe),
            (words.keep_readiness, &mut container.readiness_probe),
            (words.keep_startup, &mut container.startup_probe),
        ];
        for (kept, probe) in probes {
            *probe = probe.take().filter(|_| kept);
        }
    }
    if words.keep_init_containers == Some(false) {
        spec.init_containers = None;
    }
    spec.share_process_namespace.get_or_insert(true);
    Ok(())
}

/// The container that is changed, or added; none when only images were said.
fn change_container(
    words: &Words,
    (profile, custom): (Profile, &Custom),
    copy: &Pod,
    spec: &mut Value,
    caller: &mut Caller<'_>,
) -> Result<Option<String>, Failure> {
    let Some(containers) = spec.get_mut("containers").and_then(Value::as_array_mut) else { return Ok(None) };
    let named = words.container.as_deref().unwrap_or_default();
    let at = containers.iter().position(|container| container.get("name") == Some(&json!(named)));
    let at = match at {
        Some(at) => at,
        None if words.image.is_none() && !words.set_image.is_empty() => return Ok(None),
        None if words.image.is_none() => {
            return Err(Failure::error("you must specify image when creating new container"));
        }
        None => {
            containers.push(json!({"name": words.container_name(copy, caller)?}));
            containers.len() - 1
        }
    };
    let Some(container) = containers.get_mut(at).and_then(Value::as_object_mut) else { return Ok(None) };
    words.describe(container)?;
    profile.apply(container);
    custom.apply(container);
    Ok(container.get("name").and_then(Value::as_str).map(str::to_owned))
}

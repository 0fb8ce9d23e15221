//! `podlet create`: objects whose names must be free, of manifests, or ConfigMaps and Secrets from the command line. kubectl's
//! words and texts.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::dry_run::{ChangeWords, DryRun};
use super::everywhere::Everywhere;
use super::files::Filenames;
use super::print::wire;
use super::replace::{check_free, make, show, usual_choices, within};
use super::resource::Kind;
use super::{Caller, Failure, files, raw};
use crate::manifest::field::escape_html;
use crate::manifest::validate::names;
use crate::manifest::{self, Object, Options, Source};

mod sources;

use sources::{Pairs, Words as SourceWords, read_file};

/// The words of `create`.
#[derive(Args, Debug)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_value_name = "TYPE",
    after_help = "\
Examples:
  podlet create -f pod.yaml          an error if it is there already
  podlet create -f job.yaml -o name  with metadata.generateName a new one each
                                     time
  podlet create configmap conf --from-literal=mode=test --from-file=app.conf
  podlet create secret generic login --from-env-file=login.env
  podlet create secret tls front --cert=front.crt --key=front.key \\
      --dry-run=client -o yaml

podlet apply -f makes what is not there and changes what is."
)]
pub struct Words {
    /// An object from the command line.
    #[command(subcommand)]
    pub kind: Option<Made>,
    /// Manifests: files, directories, or - for standard input.
    #[command(flatten)]
    pub filenames: Filenames,
    /// Only documents with these labels.
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<String>,
    /// Posts the JSON of the one file to this path of the API, and prints what an API server answers.
    #[arg(long, value_name = "PATH")]
    pub raw: Option<String>,
    /// How far, and what is printed of it.
    #[command(flatten)]
    pub change: ChangeWords,
}

/// What can be made without a manifest.
#[derive(Subcommand, Debug)]
pub enum Made {
    /// A ConfigMap from files, directories or values.
    #[command(
        name = "configmap",
        alias = "cm",
        after_help = "\
Examples:
  podlet create configmap conf --from-file=conf.d
                                            a key a file of the directory
  podlet create cm conf --from-file=app.conf=prod.conf
                                            under another key
  podlet create cm conf --from-env-file=settings.env
                                            a key a line of KEY=VALUE"
    )]
    ConfigMap(ConfigMapWords),
    /// A Secret.
    #[command(subcommand)]
    Secret(SecretKind),
}

/// Which Secret.
#[derive(Subcommand, Debug)]
pub enum SecretKind {
    /// Of any type, from files, directories or values.
    #[command(after_help = "\
Examples:
  podlet create secret generic login --from-literal=user=ann \\
      --from-file=password=secret.txt")]
    Generic(GenericWords),
    /// A certificate and its key.
    #[command(after_help = "\
Examples:
  podlet create secret tls front --cert=front.crt --key=front.key")]
    Tls(TlsWords),
    /// For a registry, as imagePullSecrets name it.
    #[command(
        name = "docker-registry",
        after_help = "\
Examples:
  podlet create secret docker-registry pull \\
      --docker-server=example.org --docker-username=ann --docker-password=…
  podlet create secret docker-registry pull \\
      --from-file=$HOME/.docker/config.json"
    )]
    DockerRegistry(RegistryWords),
}

/// Words of every kind.
#[derive(Args, Debug)]
pub struct Common {
    /// Its name.
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Appends a hash of the content to the name.
    #[arg(long)]
    pub append_hash: bool,
    /// How far, and what is printed of it.
    #[command(flatten)]
    pub change: ChangeWords,
}

/// The words of `create configmap`.
#[derive(Args, Debug)]
pub struct ConfigMapWords {
    /// What of any kind.
    #[command(flatten)]
    pub common: Common,
    /// Its content.
    #[command(flatten)]
    pub sources: SourceWords,
}

/// The words of `create secret generic`.
#[derive(Args, Debug)]
pub struct GenericWords {
    /// What of any kind.
    #[command(flatten)]
    pub common: Common,
    /// Its content.
    #[command(flatten)]
    pub sources: SourceWords,
    /// Its type; Opaque when nothing is said.
    #[arg(long = "type", value_name = "NAME")]
    pub of_type: Option<String>,
}

/// The words of `create secret tls`.
#[derive(Args, Debug)]
pub struct TlsWords {
    /// What of any kind.
    #[command(flatten)]
    pub common: Common,
    /// The certificate, PEM.
    #[arg(long, value_name = "FILE")]
    pub cert: Option<PathBuf>,
    /// Its private key, PEM.
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
}

/// The words of `create secret docker-registry`.
#[derive(Args, Debug)]
pub struct RegistryWords {
    /// What of any kind.
    #[command(flatten)]
    pub common: Common,
    /// Whom the registry knows.
    #[arg(long, value_name = "NAME")]
    pub docker_username: Option<String>,
    /// By which word.
    #[arg(long, value_name = "WORD")]
    pub docker_password: Option<String>,
    /// An address of old registries.
    #[arg(long, value_name = "ADDRESS")]
    pub docker_email: Option<String>,
    /// Which registry.
    #[arg(long, value_name = "SERVER", default_value = "https://index.docker.io/v1/")]
    pub docker_server: String,
    /// A file of this form instead (~/.docker/config.json).
    #[arg(long, value_name = "FILE", value_delimiter = ',')]
    pub from_file: Vec<String>,
}

/// Creates.
pub fn run(words: &Words, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    match &words.kind {
        None => of_manifests(words, everywhere, caller),
        Some(Made::ConfigMap(words)) => config_map(words, everywhere, caller),
        Some(Made::Secret(SecretKind::Generic(words))) => generic(words, everywhere, caller),
        Some(Made::Secret(SecretKind::Tls(words))) => tls(words, everywhere, caller),
        Some(Made::Secret(SecretKind::DockerRegistry(words))) => registry(words, everywhere, caller),
    }
}

fn of_manifests(words: &Words, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let (dry_run, output) = words.change.read()?;
    if words.filenames.is_empty() {
        return Err(Failure::error("must specify one of -f and -k"));
    }
    let selector = words.selector.as_deref().filter(|selector| !selector.is_empty());
    if let Some(path) = words.raw.as_deref().filter(|path| !path.is_empty()) {
        let source = words.filenames.only()?;
        if selector.is_some() {
            return Err(Failure::error("--raw and --selector (-l) are mutually exclusive"));
        }
        words.change.not_with_raw()?;
        return raw::post(path, source, everywhere, caller);
    }
    let mut objects = files::load_with_sources(&words.filenames, everywhere, "create", caller)?;
    files::retain(&mut objects, |(_, object)| object, selector, "create")?;
    let choices = usual_choices(everywhere, caller)?;
    let mut failures = Vec::new();
    for (source, object) in &objects {
        let made = match dry_run {
            DryRun::Client => Ok(()),
            DryRun::Server => check_free(object, caller),
            DryRun::None => make(object, &choices, caller),
        };
        let shown = match (made, dry_run) {
            (Ok(()), DryRun::None) => show(object, "created", &output, caller),
            (Ok(()), _) => output.print_change(&wire::object(object), &format!("created{}", dry_run.note()), caller),
            (Err(failure), _) => Err(within("creating", source, failure)),
        };
        failures.extend(shown.err());
    }
    Failure::all(failures).map(|()| 0)
}

impl Common {
    fn metadata(&self, what: &str, everywhere: &Everywhere) -> Result<ObjectMeta, Failure> {
        let [name] = self.names.as_slice() else {
            let text = format!("exactly one NAME is required, got {}", self.names.len());
            return Err(Failure::usage(text, &format!("create {what}")));
        };
        Ok(ObjectMeta { name: Some(name.clone()), namespace: everywhere.namespace.clone(), ..ObjectMeta::default() })
    }

    /// Makes it, or says what it would be.
    fn finish(&self, mut object: Object, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
        let (dry_run, output) = self.change.read()?;
        if self.append_hash {
            let hash = hash(&object);
            let metadata = object.metadata_mut();
            metadata.name = metadata.name.take().map(|name| format!("{name}-{hash}"));
        }
        let sentence = format!("created{}", dry_run.note());
        if dry_run == DryRun::Client {
            output.print_change(&wire::object(&object), &sentence, caller)?;
            return Ok(0);
        }
        // As if it came in a file: defaults and judgement are the same.
        let source = Source { name: "object".to_owned(), bytes: wire::object(&object).to_string().into_bytes() };
        let options = Options { namespace: everywhere.namespace.clone(), ..Options::default() };
        let loaded =
            manifest::load(&[source], &options).map_err(|rejected| self.failed(&object, files::refusal(&rejected)))?;
        for object in &loaded.objects {
            let made = match dry_run {
                DryRun::Server => check_free(object, caller),
                _ => make(object, &usual_choices(everywhere, caller)?, caller),
            };
            made.map_err(|failure| self.failed(object, failure))?;
            match dry_run {
                DryRun::Server => output.print_change(&wire::object(object), &sentence, caller)?,
                _ => show(object, &sentence, &output, caller)?,
            }
        }
        Ok(0)
    }

    /// kubectl makes a sentence of its own of what the server says.
    fn failed(&self, object: &Object, failure: Failure) -> Failure {
        let what = match object {
            Object::Secret(_) => "failed to create secret ",
            _ => "failed to create configmap: ",
        };
        match failure {
            Failure::Server { message, .. } => Failure::Error(format!("{what}{message}")),
            Failure::Text(text) => Failure::Error(format!("{what}{}", text.replacen("The ", "", 1))),
            other => other,
        }
    }
}

fn config_map(words: &ConfigMapWords, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let metadata = words.common.metadata("configmap", everywhere)?;
    let name = metadata.name.clone().unwrap_or_default();
    let (mut data, mut binary) = (BTreeMap::new(), BTreeMap::new());
    for (key, bytes) in words.sources.pairs("config")? {
        let faults = names::config_map_key(&key);
        if !faults.is_empty() {
            let faults = faults.join(",");
            return Err(Failure::Error(format!("{key:?} is not a valid key name for a ConfigMap: {faults}")));
        }
        let taken = [("Data", data.contains_key(&key)), ("BinaryData", binary.contains_key(&key))];
        if let Some((list, _)) = taken.into_iter().find(|(_, taken)| *taken) {
            return Err(Failure::Error(format!(
                "cannot add key {key:?}, another key by that name already exists in {list} for ConfigMap {name:?}"
            )));
        }
        match String::from_utf8(bytes) {
            Ok(text) => drop(data.insert(key, text)),
            Err(bytes) => drop(binary.insert(key, ByteString(bytes.into_bytes()))),
        }
    }
    let map = ConfigMap {
        metadata,
        data: (!data.is_empty()).then_some(data),
        binary_data: (!binary.is_empty()).then_some(binary),
        ..ConfigMap::default()
    };
    words.common.finish(Object::ConfigMap(Box::new(map)), everywhere, caller)
}

fn generic(words: &GenericWords, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let metadata = words.common.metadata("secret generic", everywhere)?;
    let secret = secret(metadata, words.of_type.as_deref(), words.sources.pairs("secret")?)?;
    words.common.finish(secret, everywhere, caller)
}

fn tls(words: &TlsWords, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let metadata = words.common.metadata("secret tls", everywhere)?;
    let (Some(cert), Some(key)) = (&words.cert, &words.key) else {
        return Err(Failure::error("key and cert must be specified"));
    };
    let read = |path: &PathBuf| {
        read_file(path).map_err(|why| Failure::Error(format!("Cannot read file {0}, open {0}: {why}", path.display())))
    };
    let (cert, key) = (read(cert)?, read(key)?);
    sources::check_pair(&cert, &key).map_err(|why| Failure::Error(format!("tls: {why}")))?;
    let pairs = vec![("tls.crt".to_owned(), cert), ("tls.key".to_owned(), key)];
    words.common.finish(secret(metadata, Some("kubernetes.io/tls"), pairs)?, everywhere, caller)
}

fn registry(words: &RegistryWords, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    const KEY: &str = ".dockerconfigjson";
    let metadata = words.common.metadata("secret docker-registry", everywhere)?;
    let said = |word: &Option<String>| word.clone().filter(|word| !word.is_empty());
    let pairs = match (said(&words.docker_username), said(&words.docker_password)) {
        _ if !words.from_file.is_empty() => {
            let named = |file: &String| if file.contains('=') { file.clone() } else { format!("{KEY}={file}") };
            let from_file = words.from_file.iter().map(named).collect();
            SourceWords { from_file, ..SourceWords::default() }.pairs("secret")?
        }
        (Some(user), Some(word)) if !words.docker_server.is_empty() => {
            vec![(
                KEY.to_owned(),
                sources::docker_config(&words.docker_server, &user, &word, said(&words.docker_email)),
            )]
        }
        _ => {
            return Err(Failure::error(
                "either --from-file or the combination of --docker-username, --docker-password and --docker-server is required",
            ));
        }
    };
    words.common.finish(secret(metadata, Some("kubernetes.io/dockerconfigjson"), pairs)?, everywhere, caller)
}

fn secret(metadata: ObjectMeta, of_type: Option<&str>, pairs: Pairs) -> Result<Object, Failure> {
    let mut data = BTreeMap::new();
    for (key, bytes) in pairs {
        let faults = names::config_map_key(&key);
        if !faults.is_empty() {
            return Err(Failure::Error(format!("{key:?} is not valid key name for a Secret {}", faults.join(";"))));
        }
        if data.insert(key.clone(), ByteString(bytes)).is_some() {
            return Err(Failure::Error(format!("cannot add key {key}, another key by that name already exists")));
        }
    }
    let secret = Secret {
        metadata,
        type_: of_type.filter(|of| !of.is_empty()).map(str::to_owned),
        data: (!data.is_empty()).then_some(data),
        ..Secret::default()
    };
    Ok(Object::Secret(Box::new(secret)))
}

/// kubectl's hash of an object's content, for a name that changes with it.
fn hash(object: &Object) -> String {
    let sent = wire::object(object);
    let field = |name: &str| sent.get(name).cloned();
    let empty = || json!({});
    let name = object.metadata().name.clone().unwrap_or_default();
    let mut content = json!({"kind": object.kind(), "name": name, "data": field("data").unwrap_or_else(empty)});
    if let Some(content) = content.as_object_mut() {
        if object.kind() == Kind::Secret.name() {
            content.insert("type".to_owned(), field("type").unwrap_or_else(|| json!("")));
        }
        content.extend(field("binaryData").map(|data| ("binaryData".to_owned(), data)));
    }
    // Sorted by its keys, and as Go writes JSON.
    let text = escape_html(content.to_string());
    let digest = Sha256::digest(text.as_bytes());
    let hex: String = digest.iter().take(5).map(|byte| format!("{byte:02x}")).collect();
    // No vowels, so no words.
    let consonant = |c| match c {
        '0' => 'g',
        '1' => 'h',
        '3' => 'k',
        'a' => 'm',
        'e' => 't',
        other => other,
    };
    hex.chars().map(consonant).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of kubectl's own runs.
    #[test]
    fn the_hash_is_kubectls() {
        let metadata = || ObjectMeta { name: Some("x".to_owned()), ..ObjectMeta::default() };
        let data = Some(BTreeMap::from([("a".to_owned(), "b".to_owned())]));
        let map = ConfigMap { metadata: metadata(), data, ..ConfigMap::default() };
        assert_eq!(hash(&Object::ConfigMap(Box::new(map))), "64686gkt6c");
        let data = Some(BTreeMap::from([("a".to_owned(), ByteString(b"b".to_vec()))]));
        let secret = Secret { metadata: metadata(), data, ..Secret::default() };
        assert_eq!(hash(&Object::Secret(Box::new(secret))), "k694gm4m9h");
    }
}

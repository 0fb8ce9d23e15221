//! `TYPE NAME …` and `TYPE/NAME …` on the command line: which objects are meant. kubectl's forms and its texts for bad ones.

use super::Failure;

/// A name that can be one. Whatever else was typed is the name of nothing, and never becomes part of a path.
pub fn is_name(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    !text.is_empty() && text.len() <= 253 && !text.starts_with('.') && text.bytes().all(fits)
}

/// A kind of object that podlet keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `v1.Pod`.
    Pod,
    /// `v1.ConfigMap`.
    ConfigMap,
    /// `v1.Secret`.
    Secret,
    /// `v1.Event`.
    Event,
}

impl Kind {
    /// As it stands before a name: `pod/web`.
    pub fn singular(self) -> &'static str {
        match self {
            Kind::Pod => "pod",
            Kind::ConfigMap => "configmap",
            Kind::Secret => "secret",
            Kind::Event => "event",
        }
    }

    /// As a manifest has it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Pod => "Pod",
            Kind::ConfigMap => "ConfigMap",
            Kind::Secret => "Secret",
            Kind::Event => "Event",
        }
    }

    /// As the API server names it in messages: `pods "web" not found`.
    pub fn plural(self) -> &'static str {
        match self {
            Kind::Pod => "pods",
            Kind::ConfigMap => "configmaps",
            Kind::Secret => "secrets",
            Kind::Event => "events",
        }
    }

    /// Its short name; a Secret has none.
    pub fn short(self) -> &'static str {
        match self {
            Kind::Pod => "po",
            Kind::ConfigMap => "cm",
            Kind::Secret => "",
            Kind::Event => "ev",
        }
    }

    /// Names, short names and names with their group, in any case, as kubectl takes them.
    pub fn from_word(word: &str) -> Result<Kind, Failure> {
        let (name, group) = word.split_once('.').unwrap_or((word, ""));
        let known = match name.to_ascii_lowercase().as_str() {
            "po" | "pod" | "pods" => Some(Kind::Pod),
            "cm" | "configmap" | "configmaps" => Some(Kind::ConfigMap),
            "secret" | "secrets" => Some(Kind::Secret),
            "ev" | "event" | "events" => Some(Kind::Event),
            _ => None,
        };
        let group_fits = matches!(group, "" | "v1.");
        known
            .filter(|_| group_fits)
            .ok_or_else(|| Failure::Error(format!("the server doesn't have a resource type {name:?}")))
    }
}

/// What the words mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// All objects of these kinds.
    All(Vec<Kind>),
    /// These, in this order.
    Named(Vec<(Kind, String)>),
}

/// Reads the words of `verb`.
pub fn parse(words: &[String], verb: &str) -> Result<Wanted, Failure> {
    let Some(first) = words.first() else {
        return Err(Failure::Error(format!(
            "You must specify the type of resource to {verb}. Use \"podlet api-resources\" for a complete list of supported \
             resources."
        )));
    };
    if words.iter().any(|word| word.contains('/')) {
        return words.iter().map(|word| pair(word)).collect::<Result<_, _>>().map(Wanted::Named);
    }
    let kinds = kinds(first)?;
    let names = words.get(1..).unwrap_or_default();
    if names.is_empty() {
        return Ok(Wanted::All(kinds));
    }
    if names.iter().any(String::is_empty) {
        return Err(Failure::error("resource name may not be empty"));
    }
    let pairs = kinds.iter().flat_map(|kind| names.iter().map(|name| (*kind, name.clone())));
    Ok(Wanted::Named(pairs.collect()))
}

fn kinds(word: &str) -> Result<Vec<Kind>, Failure> {
    let mut kinds = Vec::new();
    for part in word.split(',') {
        // `all` is what runs; kubectl leaves ConfigMaps and Secrets out, too.
        let kind = if part == "all" { Kind::Pod } else { Kind::from_word(part)? };
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    Ok(kinds)
}

fn pair(word: &str) -> Result<(Kind, String), Failure> {
    let Some((kind, name)) = word.split_once('/') else {
        return Err(Failure::error(
            "there is no need to specify a resource type as a separate argument when passing arguments in resource/name \
             form (e.g. 'podlet get resource/<resource_name>' instead of 'podlet get resource resource/<resource_name>'",
        ));
    };
    if name.contains('/') {
        return Err(Failure::error("arguments in resource/name form may not have more than one slash"));
    }
    if kind.is_empty() || name.is_empty() {
        return Err(Failure::error("arguments in resource/name form must have a single resource and name"));
    }
    Ok((Kind::from_word(kind)?, name.to_owned()))
}

/// `POD` or `pod/POD`, for verbs that know pods only.
pub fn pod_name(word: &str) -> Result<String, Failure> {
    match word.contains('/') {
        false => Ok(word.to_owned()),
        true => match pair(word)? {
            (Kind::Pod, name) => Ok(name),
            (kind, _) => Err(Failure::Error(format!("{} have no containers; name a pod", kind.plural()))),
        },
    }
}

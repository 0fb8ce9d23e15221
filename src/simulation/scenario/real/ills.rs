//! What keeps containers from starting, and how it is done for real: a program, an image, a ConfigMap or a directory that is not
//! there, brought when as many starts have failed as the scenario says.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s_openapi::api::core::v1::{
    ConfigMapKeySelector, Container, EnvVar, EnvVarSource, SeccompProfile, SecurityContext,
};

use crate::pod::input::{Fact, ImageFailure, StartStage};
use crate::simulation::scenario::condition::Faults;
use crate::simulation::scenario::faults::Deed;
use crate::simulation::script::{ImageOutcome, Run, Start};

use super::stage::MOUNT;

/// A registry that nobody runs, on this machine alone.
const DEAD: &str = "127.0.0.1:1";
/// The key in a ConfigMap that must be there.
const KEY: &str = "there";

/// Something that is not there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lack {
    /// A container's program: RunContainerError.
    Program(String),
    /// The ConfigMap of its environment: CreateContainerConfigError.
    ConfigMap(String),
    /// Its seccomp profile: CreateContainerError. It is never brought.
    Profile(String),
    /// Its image: ErrImagePull from a registry that does not answer, or ErrImageNeverPull.
    Image(String, ImageFailure),
    /// The directory of a volume: FailedMount.
    Directory,
}

impl Lack {
    /// Of an instance that does not start.
    fn of(container: &str, run: &Run) -> Option<Lack> {
        let name = container.to_owned();
        if let Some(ImageOutcome::Missing(reason, _)) = &run.image {
            return Some(Lack::Image(name, *reason));
        }
        match &run.start {
            Start::Runs => None,
            Start::Fails(StartStage::Run, _) => Some(Lack::Program(name)),
            Start::Fails(StartStage::Config, _) => Some(Lack::ConfigMap(name)),
            Start::Fails(StartStage::Create, _) => Some(Lack::Profile(name)),
        }
    }

    /// Whether this fact tells of it.
    pub fn is_told_by(&self, fact: &Fact) -> bool {
        match (self, fact) {
            (Lack::Program(name), Fact::StartFailed { container, stage: StartStage::Run, .. })
            | (Lack::ConfigMap(name), Fact::StartFailed { container, stage: StartStage::Config, .. })
            | (Lack::Profile(name), Fact::StartFailed { container, stage: StartStage::Create, .. })
            | (Lack::Image(name, _), Fact::ImageFailed { container, .. }) => name == container,
            (Lack::Directory, Fact::MountFailed { .. }) => true,
            _ => false,
        }
    }
}

/// The image of a container that is not there at times.
pub fn image(container: &str, reason: ImageFailure) -> String {
    let registry = if reason == ImageFailure::ErrImagePull { DEAD } else { "localhost" };
    format!("{registry}/podlet-test/{container}:1")
}

/// The name of a container's ConfigMap.
pub fn config_map(container: &str) -> String {
    format!("podlet-test-{container}")
}

/// What a ConfigMap holds.
pub fn config_map_data() -> BTreeMap<String, String> {
    [(KEY.to_owned(), String::new())].into()
}

/// Everything that is not there at some time.
#[derive(Debug, Default)]
pub struct Ills {
    /// All of it.
    pub all: BTreeSet<Lack>,
    /// What is not there from the beginning, and for how many starts: for all of them where no number is said.
    pub first: Vec<(Lack, Option<u32>)>,
}

impl Ills {
    /// Of what is played and done.
    pub fn of(runs: &BTreeMap<String, Vec<Run>>, deeds: &[(Duration, Deed)]) -> Ills {
        let mut ills = Ills::default();
        for (name, runs) in runs {
            let lacks: Vec<Lack> = runs.iter().map_while(|run| Lack::of(name, run)).collect();
            if let Some(first) = lacks.first() {
                let times = (lacks.len() < runs.len()).then(|| u32::try_from(lacks.len()).unwrap_or(u32::MAX));
                ills.all.insert(first.clone());
                ills.first.push((first.clone(), times));
            }
        }
        ills.all.extend(deeds.iter().filter_map(|(_, deed)| lack_of(deed)).map(|(lack, _)| lack));
        ills
    }

    /// Gives a container what can be taken from it.
    pub fn dress(&self, container: &mut Container) {
        for lack in &self.all {
            match lack {
                Lack::Program(name) if *name == container.name => {
                    container.command = Some(vec![format!("{MOUNT}/{}", program(name))]);
                }
                Lack::ConfigMap(name) if *name == container.name => {
                    let key = ConfigMapKeySelector { key: KEY.to_owned(), name: config_map(name), optional: None };
                    let source = EnvVarSource { config_map_key_ref: Some(key), ..EnvVarSource::default() };
                    let name = "PODLET_TEST".to_owned();
                    container.env = Some(vec![EnvVar { name, value: None, value_from: Some(source) }]);
                }
                Lack::Profile(name) if *name == container.name => {
                    let localhost_profile = Some("podlet-test-missing".to_owned());
                    let profile = SeccompProfile { localhost_profile, type_: "Localhost".to_owned() };
                    let context = SecurityContext { seccomp_profile: Some(profile), ..SecurityContext::default() };
                    container.security_context = Some(context);
                }
                Lack::Image(name, reason) if *name == container.name => {
                    container.image = Some(image(name, *reason));
                    let never = *reason == ImageFailure::ErrImageNeverPull;
                    container.image_pull_policy = Some(if never { "Never" } else { "IfNotPresent" }.to_owned());
                }
                _ => {}
            }
        }
    }
}

/// Where in the stage's directory a container's program lies that may be missing.
pub fn program(container: &str) -> String {
    format!("{container}/program")
}

/// What a fault takes away, and for how many starts.
pub fn lack_of(deed: &Deed) -> Option<(Lack, u32)> {
    match deed {
        Deed::NextStarts(container, run, times) => Lack::of(container, run).map(|lack| (lack, *times)),
        Deed::NextVolumes(_, times) => Some((Lack::Directory, *times)),
        _ => None,
    }
}

/// What of it cannot be done.
pub fn refusals(runs: &BTreeMap<String, Vec<Run>>, deeds: &[(Duration, Deed)], found: &mut Faults<'_>) {
    for (name, runs) in runs {
        let path = format!("spec.actors.{name}");
        let lacks: Vec<Option<Lack>> = runs.iter().map(|run| Lack::of(name, run)).collect();
        let first = lacks.iter().take_while(|lack| lack.is_some()).count();
        if lacks.iter().skip(first).any(Option::is_some) {
            let text = "only the first starts of a container can be made to fail; of later ones let a fault do it: \
                        {at: 30s, startError: {reason: RunContainerError}}";
            found.add(&path, text);
        }
        let kinds: BTreeSet<&Lack> = lacks.iter().flatten().collect();
        if kinds.len() > 1 {
            found.add(&path, "its starts can be made to fail for one reason only");
        }
        let always = first == lacks.len();
        match kinds.first() {
            Some(Lack::Program(_)) if !always && first == 1 => {
                let text = "a program that cannot be started is tried again at once, before anybody can mend it: let it fail \
                            twice or more (times: 2), or each time";
                found.add(&path, text);
            }
            Some(Lack::Profile(_)) if !always => found.add(&path, PROFILE),
            Some(Lack::Image(_, reason)) => image_refusal(*reason, &path, found),
            _ => {}
        }
    }
    let mut images: BTreeMap<&str, BTreeSet<ImageFailure>> = BTreeMap::new();
    let of_runs = runs.iter().flat_map(|(name, runs)| runs.iter().filter_map(|run| Lack::of(name, run)));
    let of_deeds = deeds.iter().filter_map(|(_, deed)| lack_of(deed)).map(|(lack, _)| lack);
    let all: Vec<Lack> = of_runs.chain(of_deeds).collect();
    for lack in &all {
        if let Lack::Image(name, reason) = lack {
            images.entry(name).or_default().insert(*reason);
        }
    }
    for (name, _) in images.iter().filter(|(_, reasons)| reasons.len() > 1) {
        let text = format!("the image of {name} is either pulled (ErrImagePull) or never pulled (ErrImageNeverPull)");
        found.add("spec.faults", text);
    }
}

/// Why this is done always or never.
pub const PROFILE: &str = "a seccomp profile that is not there cannot be brought: let each start of the container fail with \
                       CreateContainerError, or take CreateContainerConfigError";

/// Why other troubles with images are not.
pub const IMAGES: &str = "of images only ErrImagePull and ErrImageNeverPull can be brought about";

fn image_refusal(reason: ImageFailure, path: &str, found: &mut Faults<'_>) {
    if !matches!(reason, ImageFailure::ErrImagePull | ImageFailure::ErrImageNeverPull) {
        found.add(path, IMAGES);
    }
}

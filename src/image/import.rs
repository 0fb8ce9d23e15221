//! Fills the store from what lies on the machine: a directory, a tar file, an OCI layout, an archive of `docker save`.
//! Called by `podlet image import`. Fetches nothing from anywhere.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::OwnedFd;
use std::path::Path;

use super::document::{self, Document, Execution, RootFs};
use super::files::io_error;
use super::layout::{Choice, Files};
use super::packing::{Packing, sniff};
use super::record::parse;
use super::stage::Staging;
use super::{Config, ImageError, Limits, Record, Store, builtin, directory};

/// Each is a mount in every container of the image; a kernel has 100,000 for a mount namespace.
const VOLUMES_MAX: usize = 200;

/// What the command line says about the configuration; what is `None` or empty is left as the source has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--entrypoint`; `Some(vec![])` takes the image's away.
    pub entrypoint: Option<Vec<String>>,
    /// `--cmd`.
    pub cmd: Option<Vec<String>>,
    /// `--env KEY=value`, replacing those of the same key.
    pub env: Vec<String>,
    /// `--user`.
    pub user: Option<String>,
    /// `--workdir`.
    pub working_dir: Option<String>,
    /// `--stop-signal`.
    pub stop_signal: Option<String>,
}

/// An image that came in.
#[derive(Clone, Debug)]
pub struct Imported {
    /// As stored.
    pub record: Record,
    /// What was left out, for standard error.
    pub notes: Vec<String>,
}

impl Store {
    /// Takes an image in from a directory (a root file system or an OCI layout), a tar file (of either, gzip or not, or of
    /// `docker save`), or `-`, a tar stream on standard input. Without a name that of the layout is taken; where a layout
    /// holds several images the name chooses one.
    pub fn import(
        &self,
        source: &Path,
        name: Option<&str>,
        overrides: &Overrides,
        limits: Limits,
    ) -> Result<Imported, ImageError> {
        // A bad name is told before the work, not after.
        if let Some(name) = name {
            check_name(name)?;
        }
        overrides.check()?;
        let chosen = name.map_or(Choice::Only, Choice::Named);
        let import = Import { store: self, source, chosen, name, overrides };
        let staging = Staging::begin(self, limits)?;
        match open(source, &staging)? {
            Source::Layout(files) => import.layout(&files, staging),
            Source::Directory => import.directory(staging),
            Source::Tar(archive) => import.tar(archive, staging),
        }
    }

    /// Takes in all images of an OCI layout or an archive of `docker save`, `podman save` or `podlet image save`, under all
    /// the names that they have there. `-` is standard input.
    pub fn load(&self, source: &Path, limits: Limits) -> Result<Vec<Imported>, ImageError> {
        let staging = Staging::begin(self, limits)?;
        let Source::Layout(files) = open(source, &staging)? else {
            return Err(ImageError::Refused(format!(
                "{source:?} holds no image but a bare file system; `podlet image import` takes it, with a name for it"
            )));
        };
        let images = files.images()?;
        let several = images.len() > 1;
        let mut loaded: Vec<Imported> = Vec::new();
        let mut staging = Some(staging);
        for image in images {
            let mut names = image.names.iter().map(|name| full_name(name, source)).collect::<Result<Vec<_>, _>>()?;
            let mut notes = Vec::new();
            if names.is_empty() {
                // Two images without a name need two names.
                names.push(full_name(if several { &image.short } else { "" }, source)?);
                if several {
                    notes.push(format!("an image in {source:?} has no name and is loaded as {}", names.join("")));
                }
            }
            let mut names = names.into_iter();
            let Some(first) = names.next() else { continue };
            let staging = staging.take().map_or_else(|| Staging::begin(self, limits), Ok)?;
            let overrides = &Overrides::default();
            let chosen = Choice::At(image.at);
            let import = Import { store: self, source, chosen, name: Some(&first), overrides };
            let mut imported = import.layout(&files, staging)?;
            imported.notes.append(&mut notes);
            let record = imported.record.clone();
            loaded.push(imported);
            for name in names {
                let record = self.give_name(record.clone(), &parse(&name)?)?;
                loaded.push(Imported { record, notes: Vec::new() });
            }
        }
        match loaded.is_empty() {
            true => Err(ImageError::Refused(format!("{source:?} holds no image for this machine"))),
            false => Ok(loaded),
        }
    }
}

/// What a source holds.
enum Source {
    /// Images.
    Layout(Files),
    /// A root file system.
    Directory,
    /// The same in a tar file.
    Tar(File),
}

fn open(source: &Path, staging: &Staging<'_>) -> Result<Source, ImageError> {
    let mut archive = if source == Path::new("-") {
        staging.spool(io::stdin())?
    } else {
        let file = File::open(source).map_err(|error| io_error("open", source, &error))?;
        let metadata = file.metadata().map_err(|error| io_error("look at", source, &error))?;
        if metadata.is_dir() {
            let files = Files::Directory(OwnedFd::from(file));
            return match files.is_layout() {
                true => Ok(Source::Layout(files)),
                // Its blobs would be taken for a file system.
                false if is_skopeos_own(source) => Err(ImageError::Refused(format!(
                    "{source:?} is an image in skopeo's own form (dir:); an archive of it that podlet image load takes: skopeo \
                     copy dir:{0} oci-archive:{0}.tar:NAME:TAG",
                    source.display()
                ))),
                false => Ok(Source::Directory),
            };
        }
        let plain = metadata.is_file() && sniff(&file)?.0 == Packing::Plain;
        if metadata.is_file() {
            (&file).rewind().map_err(|error| io_error("read", source, &error))?;
        }
        if plain { file } else { staging.spool(file)? }
    };
    let files = Files::of_tar(archive.try_clone().map_err(|error| io_error("read", source, &error))?)?;
    if files.is_layout() {
        return Ok(Source::Layout(files));
    }
    archive.rewind().map_err(|error| io_error("read", source, &error))?;
    Ok(Source::Tar(archive))
}

/// Whether a directory is what skopeo calls `dir:`, containers-image(5).
fn is_skopeos_own(directory: &Path) -> bool {
    let mut begin = [0; 19];
    let version = File::open(directory.join("version")).and_then(|mut file| file.read_exact(&mut begin));
    version.is_ok() && &begin == b"Directory Transport" && directory.join("manifest.json").is_file()
}

/// umoci and skopeo write no more than a tag into a layout, or nothing: such an image is called after its file.
fn full_name(name: &str, source: &Path) -> Result<String, ImageError> {
    if name.contains(['/', ':']) {
        check_name(name)?;
        return Ok(name.to_owned());
    }
    let stem = source.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let stem = stem.split(".tar").next().unwrap_or_default();
    let tag = if name.is_empty() { "latest" } else { name };
    let full = format!("localhost/{stem}:{tag}");
    check_name(&full).map_err(|_| {
        ImageError::Refused(format!(
            "{source:?} does not say what its image is called; `podlet image import` takes it, with a name for it"
        ))
    })?;
    Ok(full)
}

struct Import<'a> {
    store: &'a Store,
    source: &'a Path,
    /// Which image of several.
    chosen: Choice<'a>,
    /// What it is to be called.
    name: Option<&'a str>,
    overrides: &'a Overrides,
}

impl Import<'_> {
    fn layout(&self, files: &Files, mut staging: Staging<'_>) -> Result<Imported, ImageError> {
        let found = files.find(self.chosen)?;
        let document: Document = document::read_configuration(&found.configuration)?;
        check_platform(&document)?;
        let name = self.name.map(str::to_owned).or_else(|| found.name.clone()).ok_or_else(|| self.nameless())?;
        check_name(&name)?;
        files.add_layers(&found, &document, &mut staging)?;
        let config = self.overrides.apply(document.config.unwrap_or_default().into());
        check_texts(&config)?;
        // Without overrides all stays as it is, and so does the image's ID.
        let configuration = match *self.overrides == Overrides::default() {
            true => found.configuration,
            false => replace_execution(&found.configuration, &config)?,
        };
        let manifest = match found.manifest {
            Some(manifest) if *self.overrides == Overrides::default() => manifest,
            _ => staging.make_manifest(&configuration)?,
        };
        self.publish(&name, &configuration, &manifest, config, staging)
    }

    fn directory(&self, mut staging: Staging<'_>) -> Result<Imported, ImageError> {
        let inside = std::fs::canonicalize(self.source).map_err(|error| io_error("look at", self.source, &error))?;
        if self.store.root.canonicalize().is_ok_and(|root| root.starts_with(&inside)) {
            return Err(ImageError::Refused(format!("{:?} holds podlet's image store itself", self.source)));
        }
        let ((), notes) = directory::stream(self.source, directory::Content::Root, |reader| staging.add_layer(reader))?;
        staging.note(notes);
        self.root_file_system(staging)
    }

    fn tar(&self, archive: File, mut staging: Staging<'_>) -> Result<Imported, ImageError> {
        staging.add_layer(archive)?;
        self.root_file_system(staging)
    }

    /// A bare root file system gets a configuration of podlet's making.
    fn root_file_system(&self, staging: Staging<'_>) -> Result<Imported, ImageError> {
        if staging.is_empty() {
            return Err(ImageError::Refused(format!("{:?} holds no files", self.source)));
        }
        let name = self.name.ok_or_else(|| self.nameless())?;
        let config = self.overrides.apply(Config { env: vec![builtin::PATH.to_owned()], ..Config::default() });
        check_texts(&config)?;
        let configuration = document::write(&Document {
            created: None,
            architecture: document::architecture().to_owned(),
            os: "linux".to_owned(),
            config: Some(Execution::from(config.clone())),
            rootfs: RootFs { kind: "layers".to_owned(), diff_ids: staging.diff_ids() },
        })?;
        let manifest = staging.make_manifest(&configuration)?;
        self.publish(name, &configuration, &manifest, config, staging)
    }

    fn publish(
        &self,
        name: &str,
        configuration: &[u8],
        manifest: &[u8],
        config: Config,
        staging: Staging<'_>,
    ) -> Result<Imported, ImageError> {
        let notes = staging.take_notes();
        let record = Record::new(&parse(name)?, config, self.source.to_string_lossy().into_owned());
        Ok(Imported { record: staging.publish(configuration, manifest, None, record)?, notes })
    }

    fn nameless(&self) -> ImageError {
        ImageError::Refused(format!(
            "{:?} does not say what the image is called; give a name as well, like localhost/mine:1",
            self.source
        ))
    }
}

impl Overrides {
    fn check(&self) -> Result<(), ImageError> {
        match self.env.iter().find(|line| line.find('=').is_none_or(|at| at == 0)) {
            Some(line) => Err(ImageError::Refused(format!("{line:?} is no environment variable; expected KEY=value"))),
            None => Ok(()),
        }
    }

    fn apply(&self, mut config: Config) -> Config {
        let key = |line: &str| line.split('=').next().unwrap_or_default().to_owned();
        for line in &self.env {
            config.env.retain(|old| key(old) != key(line));
            config.env.push(line.clone());
        }
        if let Some(entrypoint) = &self.entrypoint {
            config.entrypoint = entrypoint.clone();
            // As in a Dockerfile and in a Pod: the old arguments were those of the old program.
            config.cmd.clear();
        }
        if let Some(cmd) = &self.cmd {
            config.cmd = cmd.clone();
        }
        Config {
            user: self.user.clone().or(config.user),
            working_dir: self.working_dir.clone().or(config.working_dir),
            stop_signal: self.stop_signal.clone().or(config.stop_signal),
            ..config
        }
    }
}

/// The two built-in names always mean the built-in images.
fn check_name(name: &str) -> Result<(), ImageError> {
    if builtin::of(&parse(name)?).is_some() {
        return Err(ImageError::Refused(format!("{name} is one of podlet's own images; choose another name")));
    }
    Ok(())
}

/// Whether this machine runs it.
pub(super) fn check_platform(document: &Document) -> Result<(), ImageError> {
    let architecture = document::architecture();
    if matches!(document.os.as_str(), "" | "linux") && ["", architecture].contains(&document.architecture.as_str()) {
        return Ok(());
    }
    Err(ImageError::Refused(format!(
        "the image is for {}/{}, this machine is linux/{architecture}",
        document.os, document.architecture
    )))
}

/// No C string can hold a NUL, and all of these become one.
pub(super) fn check_texts(config: &Config) -> Result<(), ImageError> {
    if config.volumes.len() > VOLUMES_MAX {
        let found = config.volumes.len();
        return Err(ImageError::Refused(format!("the image has {found} volumes, at most {VOLUMES_MAX} are taken")));
    }
    let lists = [&config.env, &config.entrypoint, &config.cmd, &config.volumes];
    let single = [&config.user, &config.working_dir, &config.stop_signal];
    let mut all = lists.into_iter().flatten().chain(single.into_iter().flatten());
    match all.find(|text| text.contains('\0')) {
        Some(text) => Err(ImageError::Refused(format!("the image's configuration has a NUL in {text:?}"))),
        None => Ok(()),
    }
}

/// The same configuration with another `config`, labels, history and all else kept.
fn replace_execution(configuration: &[u8], config: &Config) -> Result<Vec<u8>, ImageError> {
    let mut value: serde_json::Value = document::read(configuration, "the image's configuration")?;
    let replacement = serde_json::to_value(Execution::from(config.clone()))
        .map_err(|error| ImageError::Unreadable(format!("could not write JSON: {error}")))?;
    if let (Some(whole), serde_json::Value::Object(replacement)) = (value.as_object_mut(), replacement) {
        let execution = whole.entry("config").or_insert_with(|| serde_json::Value::Object(Default::default()));
        if !execution.is_object() {
            *execution = serde_json::Value::Object(Default::default());
        }
        if let Some(execution) = execution.as_object_mut() {
            for key in ["User", "Env", "Entrypoint", "Cmd", "WorkingDir", "StopSignal", "Volumes"] {
                execution.remove(key);
            }
            execution.extend(replacement);
        }
    }
    document::write(&value)
}

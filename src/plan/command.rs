//! What a container executes: the manifest's command and args against the image's entrypoint and cmd.

use k8s_openapi::api::core::v1::Container;

use super::text::Text;

/// The arguments, or `None` when neither manifest nor image has any.
///
/// A `command` drops the image's cmd; `args` alone follow the image's entrypoint. An entrypoint of one empty string counts
/// as none. `expand` is applied to the manifest's words only; what it refuses names the field.
pub fn arguments<E: std::fmt::Display>(
    container: &Container,
    entrypoint: &[String],
    cmd: &[String],
    mut expand: impl FnMut(&str) -> Result<Text, E>,
) -> Result<Option<Vec<Text>>, String> {
    let mut given = |words: &Option<Vec<String>>, field: &str| -> Result<Vec<Text>, String> {
        let numbered = words.iter().flatten().zip(0..);
        numbered.map(|(word, at)| expand(word).map_err(|error| format!("{field}[{at}]: {error}"))).collect()
    };
    let plain = |words: &[String]| -> Vec<Text> { words.iter().map(|word| Text::from(word.as_str())).collect() };
    let command = given(&container.command, "command")?;
    let args = given(&container.args, "args")?;
    let entrypoint = if matches!(entrypoint, [only] if only.is_empty()) { &[][..] } else { entrypoint };
    let words = match (command.is_empty(), args.is_empty()) {
        (true, true) => [plain(entrypoint), plain(cmd)].concat(),
        (true, false) => [plain(entrypoint), args].concat(),
        (false, _) => [command, args].concat(),
    };
    Ok((!words.is_empty()).then_some(words))
}

/// The directories of a `PATH`; an empty element means the working directory, and is left out as too surprising.
pub fn path_directories(path: &str) -> impl Iterator<Item = &str> {
    path.split(':').filter(|directory| !directory.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(command: &[&str], args: &[&str], entrypoint: &[&str], cmd: &[&str]) -> Option<String> {
        let list = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        let container = Container { command: Some(list(command)), args: Some(list(args)), ..Container::default() };
        let expand = |word: &str| Ok::<_, String>(Text::from(word.to_uppercase()));
        let found = arguments(&container, &list(entrypoint), &list(cmd), expand);
        found.unwrap_or_default().map(|words| words.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn table() {
        assert_eq!(run(&[], &[], &["e"], &["c"]).as_deref(), Some("e c"));
        assert_eq!(run(&[], &["a"], &["e"], &["c"]).as_deref(), Some("e A"));
        assert_eq!(run(&["m"], &[], &["e"], &["c"]).as_deref(), Some("M"));
        assert_eq!(run(&["m"], &["a"], &["e"], &["c"]).as_deref(), Some("M A"));
        assert_eq!(run(&[], &[], &[""], &["c"]).as_deref(), Some("c"));
        assert_eq!(run(&[], &[], &[], &[]), None);
    }
}

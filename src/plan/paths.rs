//! Paths in a container as text: cleaning, depth, what lies below what. Nothing is looked up.

/// An absolute path without empty, `.` and `..` elements; a relative one is taken from `/`, as runtimes do.
pub fn clean(path: &str) -> String {
    let mut elements: Vec<&str> = Vec::new();
    for element in path.split('/') {
        match element {
            "" | "." => {}
            ".." => {
                elements.pop();
            }
            other => elements.push(other),
        }
    }
    format!("/{}", elements.join("/"))
}

/// Number of elements of a clean path.
pub fn depth(path: &str) -> usize {
    path.split('/').filter(|element| !element.is_empty()).count()
}

/// Whether a clean path lies below another clean path, and is not the same.
pub fn is_below(path: &str, above: &str) -> bool {
    let above = above.trim_end_matches('/');
    path.strip_prefix(above).is_some_and(|rest| rest.len() > 1 && rest.starts_with('/'))
}

/// The prefixes of `path` that are longer than `above`, outermost first, `path` itself the last.
pub fn prefixes_below(path: &str, above: &str) -> Vec<String> {
    let mut prefixes: Vec<String> = Vec::new();
    let mut current = path;
    while is_below(current, above) {
        prefixes.push(current.to_owned());
        current = current.rsplit_once('/').map_or("", |(parent, _)| parent);
    }
    prefixes.reverse();
    prefixes
}

/// The parent and last element of a clean path.
pub fn split(path: &str) -> (&str, &str) {
    match path.rsplit_once('/') {
        Some(("", name)) => ("/", name),
        Some((parent, name)) => (parent, name),
        None => ("/", path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        assert_eq!(clean("a//b/./../c/"), "/a/c");
        assert_eq!(clean("/../.."), "/");
        assert_eq!(depth("/"), 0);
        assert_eq!(depth("/a/b"), 2);
        assert!(is_below("/a/b", "/a") && is_below("/a", "/"));
        assert!(!is_below("/a", "/a") && !is_below("/ab", "/a"));
        assert_eq!(prefixes_below("/a/b/c", "/a"), ["/a/b", "/a/b/c"]);
        assert_eq!(prefixes_below("/a", "/"), ["/a"]);
        assert_eq!(split("/a"), ("/", "a"));
        assert_eq!(split("/a/b"), ("/a", "b"));
    }
}

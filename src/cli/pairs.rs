//! `KEY=VALUE` and `KEY-` behind the names of objects (`label`, `annotate`, `set image`): kubectl's rules and texts.

use super::Failure;

/// Parts the words into those that name objects and the pairs behind them; `what` is for the message.
pub fn part(words: &[String], what: &str) -> Result<(Vec<String>, Vec<String>), Failure> {
    let is_pair =
        |word: &&String| word.contains('=') && !word.starts_with('=') || word.ends_with('-') && word.as_str() != "-";
    let begin = words.iter().position(|word| is_pair(&word)).unwrap_or(words.len());
    let (objects, pairs) = words.split_at(begin);
    match pairs.iter().find(|word| !is_pair(word)) {
        Some(late) => Err(Failure::Error(format!("all resources must be specified before {what} changes: {late}"))),
        None => Ok((objects.to_vec(), pairs.to_vec())),
    }
}

/// What pairs say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pairs {
    /// To be set, in the order of the words; of one key the last counts.
    pub set: Vec<(String, String)>,
    /// To be removed.
    pub removed: Vec<String>,
}

impl Pairs {
    /// Reads `KEY=VALUE`, where the value may hold further `=`, and, if it may be, `KEY-`.
    pub fn read(words: &[String], what: &str, may_remove: bool) -> Result<Pairs, Failure> {
        let mut pairs = Pairs::default();
        let mut invalid = Vec::new();
        for word in words {
            match word.split_once('=') {
                Some((key, value)) if !key.is_empty() => pairs.put(key, value),
                _ => match word.strip_suffix('-').filter(|key| may_remove && !key.is_empty()) {
                    Some(key) => pairs.removed.push(key.to_owned()),
                    None => invalid.push(word.as_str()),
                },
            }
        }
        match invalid.as_slice() {
            [] => Ok(pairs),
            invalid => Err(Failure::Error(format!("invalid {what} format: {}", invalid.join(", ")))),
        }
    }

    /// Sets a key.
    pub fn put(&mut self, key: &str, value: &str) {
        self.set.retain(|(other, _)| other != key);
        self.set.push((key.to_owned(), value.to_owned()));
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.removed.is_empty()
    }
}

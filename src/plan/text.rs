//! Text in which the values of Secrets are references: what a plan, a trace or a message may show.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Serialize, Serializer};

/// The values behind the references of a plan: (name of the Secret, key) to bytes. Never serialized, never printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets(BTreeMap<(String, String), Vec<u8>>);

impl Secrets {
    /// Remembers a value.
    pub fn insert(&mut self, name: &str, key: &str, value: &[u8]) {
        self.0.insert((name.to_owned(), key.to_owned()), value.to_owned());
    }

    /// The value behind a reference.
    pub fn get(&self, name: &str, key: &str) -> Option<&[u8]> {
        self.0.get(&(name.to_owned(), key.to_owned())).map(Vec::as_slice)
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({} values)", self.0.len())
    }
}

/// A piece of [`Text`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// As it stands.
    Plain(String),
    /// The value of a Secret's key.
    Secret {
        /// The Secret.
        name: String,
        /// The key in it.
        key: String,
    },
}

/// Text made of plain pieces and references to Secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text(Vec<Piece>);

impl Text {
    /// A reference to a Secret's value.
    pub fn secret(name: &str, key: &str) -> Text {
        Text(vec![Piece::Secret { name: name.to_owned(), key: key.to_owned() }])
    }

    /// Appends plain text.
    pub fn push_str(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        if let Some(Piece::Plain(last)) = self.0.last_mut() {
            last.push_str(text);
        } else {
            self.0.push(Piece::Plain(text.to_owned()));
        }
    }

    /// Appends another text.
    pub fn push(&mut self, other: &Text) {
        for piece in &other.0 {
            match piece {
                Piece::Plain(text) => self.push_str(text),
                secret @ Piece::Secret { .. } => self.0.push(secret.clone()),
            }
        }
    }

    /// The text when no Secret is in it.
    pub fn plain(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Piece::Plain(text)] => Some(text),
            _ => None,
        }
    }

    /// No piece at all. (A Secret's value may still be empty.)
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many bytes [`Text::reveal`] gives, at least one a piece: pieces themselves take memory.
    pub fn length(&self, secrets: &Secrets) -> usize {
        let of_piece = |piece: &Piece| match piece {
            Piece::Plain(text) => text.len(),
            Piece::Secret { name, key } => secrets.get(name, key).map_or(1, |value| value.len().max(1)),
        };
        self.0.iter().map(of_piece).sum()
    }

    /// The bytes, with the values of Secrets in place; a value that is not known stays a reference.
    pub fn reveal(&self, secrets: &Secrets) -> Vec<u8> {
        let mut bytes = Vec::new();
        for piece in &self.0 {
            match piece {
                Piece::Plain(text) => bytes.extend_from_slice(text.as_bytes()),
                Piece::Secret { name, key } => match secrets.get(name, key) {
                    Some(value) => bytes.extend_from_slice(value),
                    None => bytes.extend_from_slice(reference(name, key).as_bytes()),
                },
            }
        }
        bytes
    }
}

fn reference(name: &str, key: &str) -> String {
    format!("<secret {name}/{key}>")
}

impl From<&str> for Text {
    fn from(text: &str) -> Text {
        let mut made = Text::default();
        made.push_str(text);
        made
    }
}

impl From<String> for Text {
    fn from(text: String) -> Text {
        if text.is_empty() { Text::default() } else { Text(vec![Piece::Plain(text)]) }
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.0 {
            match piece {
                Piece::Plain(text) => f.write_str(text)?,
                Piece::Secret { name, key } => f.write_str(&reference(name, key))?,
            }
        }
        Ok(())
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

//! `$(VAR)` in env values, command and args, as Kubernetes expands it. One scan from left to right; what a variable
//! expands to is not looked at again; but a later variable may refer to an earlier one twice, and so on: thirty lines would
//! make gigabytes, were there no end to it.

use std::fmt;

use super::text::{Secrets, Text};

/// The longest argument or variable that Linux takes: MAX_ARG_STRLEN without the NUL (execve(2)).
const LONGEST: usize = 131_071;
/// The most that all of them may be together: three quarters of 8 MiB, whatever the stack's limit is (execve(2)).
const MOST: usize = 6 << 20;

/// How much references may still become, for all values of an environment, or for all arguments.
#[derive(Debug)]
pub struct Room(usize);

impl Default for Room {
    fn default() -> Room {
        Room(MOST)
    }
}

/// No program could be executed with what a value expands to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "its references $(…) expand to more than Linux takes: {LONGEST} bytes for one value, {MOST} for all together \
             (execve(2))"
        )
    }
}

/// Expands `input`; `lookup` answers for a name, and what it does not know stays as written.
///
/// `$$` is one `$`; `$(` without `)` and `$` before anything else stay.
pub fn expand(
    input: &str,
    lookup: impl Fn(&str) -> Option<Text>,
    secrets: &Secrets,
    room: &mut Room,
) -> Result<Text, TooLong> {
    let mut output = Text::default();
    let mut rest = input;
    let mut expanded = 0;
    while let Some(dollar) = rest.find('$') {
        let (before, tail) = rest.split_at(dollar);
        output.push_str(before);
        let after = tail.get(1..).unwrap_or_default();
        let mut characters = after.chars();
        match characters.next() {
            None => {
                output.push_str("$");
                rest = "";
            }
            Some('$') => {
                output.push_str("$");
                rest = characters.as_str();
            }
            Some('(') => {
                let inner = characters.as_str();
                match inner.split_once(')') {
                    Some((name, following)) => {
                        match lookup(name) {
                            Some(value) => {
                                expanded += value.length(secrets);
                                if expanded > LONGEST || expanded > room.0 {
                                    return Err(TooLong);
                                }
                                output.push(&value);
                            }
                            None => {
                                output.push_str("$(");
                                output.push_str(name);
                                output.push_str(")");
                            }
                        }
                        rest = following;
                    }
                    None => {
                        output.push_str("$(");
                        rest = inner;
                    }
                }
            }
            Some(other) => {
                output.push_str("$");
                output.push_str(other.encode_utf8(&mut [0; 4]));
                rest = characters.as_str();
            }
        }
    }
    output.push_str(rest);
    room.0 -= expanded;
    Ok(output)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn with_a(input: &str) -> String {
        let lookup = |name: &str| match name {
            "A" => Some(Text::from("a")),
            "B" => Some(Text::from("$(A)")),
            _ => None,
        };
        expand(input, lookup, &Secrets::default(), &mut Room::default()).unwrap().to_string()
    }

    #[test]
    fn there_is_an_end_to_it() {
        let mut secrets = Secrets::default();
        secrets.insert("s", "k", &[b'x'; 1000]);
        secrets.insert("s", "empty", b"");
        for first in [Text::from("x"), Text::secret("s", "k"), Text::secret("s", "empty")] {
            let (mut value, mut room) = (first, Room::default());
            let doubled = (0..100).find(|_| match expand("$(A)$(A)", |_| Some(value.clone()), &secrets, &mut room) {
                Ok(longer) => {
                    value = longer;
                    false
                }
                Err(TooLong) => true,
            });
            assert!(doubled.is_some_and(|times| times < 18), "{doubled:?}");
            assert!(value.length(&secrets) <= LONGEST);
        }
        // Each short enough, but not all of them.
        let (value, mut room) = (Text::from("x".repeat(100_000)), Room::default());
        let arguments = (0..1000).take_while(|_| expand("$(A)", |_| Some(value.clone()), &secrets, &mut room).is_ok());
        assert_eq!(arguments.count(), MOST / 100_000);
    }

    #[test]
    fn follows_the_rules_of_kubernetes() {
        for (input, expected) in [
            ("$(A)", "a"),
            ("$$(A)", "$(A)"),
            ("$$$(A)", "$a"),
            ("$(C", "$(C"),
            ("$(C$(A)", "$(C$(A)"),
            ("$", "$"),
            ("$$", "$"),
            ("$(A)$(A)", "aa"),
            ("$()", "$()"),
            ("foo$(NOPE)bar", "foo$(NOPE)bar"),
            ("$($(A))", "$($(A))"),
            ("$A ${A}", "$A ${A}"),
            ("$(B)", "$(A)"),
            ("ä$é$(A)ö$", "ä$éaö$"),
            ("", ""),
        ] {
            assert_eq!(with_a(input), expected, "{input}");
        }
    }

    proptest! {
        #[test]
        fn text_without_a_dollar_stays(input in "[^$]*") {
            prop_assert_eq!(with_a(&input), input);
        }

        #[test]
        fn doubling_every_dollar_gives_the_text_back(input in "[$()A-C ]{0,40}") {
            prop_assert_eq!(with_a(&input.replace('$', "$$")), input);
        }

        #[test]
        fn nothing_known_changes_nothing_but_pairs(input in "[$()A-C ]{0,40}") {
            prop_assume!(!input.contains("$$"));
            let same = expand(&input, |_| None, &Secrets::default(), &mut Room::default()).unwrap();
            prop_assert_eq!(same.to_string(), input);
        }
    }
}

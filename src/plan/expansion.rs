//! `$(VAR)` in env values, command and args, as Kubernetes expands it. One scan from left to right; what a variable
//! expands to is not looked at again.

use super::text::Text;

/// Expands `input`; `lookup` answers for a name, and what it does not know stays as written.
///
/// `$$` is one `$`; `$(` without `)` and `$` before anything else stay.
pub fn expand(input: &str, lookup: impl Fn(&str) -> Option<Text>) -> Text {
    let mut output = Text::default();
    let mut rest = input;
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
                            Some(value) => output.push(&value),
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
    output
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn with_a(input: &str) -> String {
        expand(input, |name| match name {
            "A" => Some(Text::from("a")),
            "B" => Some(Text::from("$(A)")),
            _ => None,
        })
        .to_string()
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
            prop_assert_eq!(expand(&input, |_| None).to_string(), input);
        }
    }
}

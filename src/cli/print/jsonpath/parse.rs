//! From the text of a template to its nodes. The errors are kubectl's.

/// A part of a template.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// As it stands.
    Text(String),
    /// `{…}`: each node is applied to what the one before has found.
    List(Vec<Node>),
    /// `.name`
    Field(String),
    /// `.*`
    Wildcard,
    /// `..`
    Recursive,
    /// `[from:to:step]`
    Slice(Slice),
    /// `[a,b]`
    Union(Vec<Vec<Node>>),
    /// `[?(…)]`
    Filter(Filter),
    /// `range`, `end`
    Identifier(String),
    /// A number.
    Int(i64),
    /// A number with a point.
    Float(f64),
    /// `true`, `false`
    Bool(bool),
}

/// The numbers in brackets.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Slice {
    /// The first.
    pub from: Option<i64>,
    /// The one after the last.
    pub to: Option<i64>,
    /// `to` was not written: only one element is meant.
    pub one: bool,
    /// Each so-many-th.
    pub step: Option<i64>,
}

/// A condition on the elements of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    /// What is compared.
    pub left: Vec<Node>,
    /// `==`, `<` …; without one it is enough that something is there.
    pub operator: Option<String>,
    /// With what.
    pub right: Vec<Node>,
}

/// A template within a template: each takes a bit of stack.
const DEEPEST: usize = 64;

/// Reads a template.
pub fn parse(text: &str) -> Result<Vec<Node>, String> {
    within(text, 0)
}

fn within(text: &str, depth: usize) -> Result<Vec<Node>, String> {
    if depth > DEEPEST {
        return Err("filters within filters go too deep".to_owned());
    }
    let mut nodes = Vec::new();
    let mut reader = Reader { rest: text, depth };
    while let Some(open) = reader.rest.find('{') {
        let (before, after) = reader.rest.split_at(open);
        if !before.is_empty() {
            nodes.push(Node::Text(before.to_owned()));
        }
        reader.rest = after.get(1..).unwrap_or_default();
        nodes.push(Node::List(reader.action()?));
    }
    if !reader.rest.is_empty() {
        nodes.push(Node::Text(reader.rest.to_owned()));
    }
    Ok(nodes)
}

/// The nodes of the first `{…}` around this text.
fn action(text: &str, depth: usize) -> Result<Vec<Node>, String> {
    match within(&format!("{{{text}}}"), depth + 1)?.into_iter().next() {
        Some(Node::List(nodes)) => Ok(nodes),
        _ => Ok(Vec::new()),
    }
}

fn is_terminator(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n' | '.' | ',' | '[' | ']' | '$' | '@' | '{' | '}')
}

fn is_word(character: char) -> bool {
    character == '_' || character.is_alphabetic() || character.is_numeric()
}

struct Reader<'a> {
    rest: &'a str,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    /// Up to the closing brace, which is taken.
    fn action(&mut self) -> Result<Vec<Node>, String> {
        let mut nodes = Vec::new();
        loop {
            if self.rest.starts_with('}') {
                self.take(1);
                return Ok(nodes);
            }
            if self.rest.starts_with("[?(") {
                nodes.push(self.filter()?);
                continue;
            }
            if self.rest.starts_with("..") {
                if nodes.last() == Some(&Node::Recursive) {
                    return Err("invalid multiple recursive descent".to_owned());
                }
                self.take(2);
                nodes.push(Node::Recursive);
                if self.rest.chars().next().is_some_and(is_word) {
                    nodes.push(self.field());
                }
                continue;
            }
            match self.rest.chars().next() {
                None | Some('\r' | '\n') => return Err("unclosed action".to_owned()),
                Some(' ' | '@' | '$') => drop(self.take(1)),
                Some('[') => self.brackets(&mut nodes)?,
                Some(quote @ ('"' | '\'')) => nodes.push(self.quote(quote)?),
                Some('.') => {
                    self.take(1);
                    nodes.push(self.field());
                }
                Some(c) if c == '+' || c == '-' || c.is_numeric() => nodes.push(self.number()?),
                Some(c) if is_word(c) => nodes.push(self.identifier()),
                Some(other) => {
                    let code = u32::from(other);
                    return Err(format!("unrecognized character in action: U+{code:04X} '{other}'"));
                }
            }
        }
    }

    fn identifier(&mut self) -> Node {
        let end = self.rest.find(is_terminator).unwrap_or(self.rest.len());
        match self.take(end) {
            "true" => Node::Bool(true),
            "false" => Node::Bool(false),
            word => Node::Identifier(word.to_owned()),
        }
    }

    /// A name; a backslash before a point makes it part of the name.
    fn field(&mut self) -> Node {
        let mut characters = self.rest.char_indices();
        let mut end = self.rest.len();
        while let Some((at, character)) = characters.next() {
            if character == '\\' {
                characters.next();
            } else if is_terminator(character) {
                end = at;
                break;
            }
        }
        match self.take(end) {
            "*" => Node::Wildcard,
            name => Node::Field(name.replace('\\', "")),
        }
    }

    fn number(&mut self) -> Result<Node, String> {
        let sign = usize::from(self.rest.starts_with(['+', '-']));
        let digits = self.rest.get(sign..).unwrap_or_default();
        let length = digits.find(|c: char| c != '.' && !c.is_numeric()).unwrap_or(digits.len());
        let text = self.take(sign + length);
        if let Ok(number) = text.parse() {
            return Ok(Node::Int(number));
        }
        text.parse().map(Node::Float).map_err(|_| format!("cannot parse number {text}"))
    }

    fn brackets(&mut self, nodes: &mut Vec<Node>) -> Result<(), String> {
        let end = self.rest.find([']', '\n']).filter(|end| self.rest.get(*end..).is_some_and(|r| r.starts_with(']')));
        let end = end.ok_or("unterminated array")?;
        let inside = self.take(end + 1).get(1..end).unwrap_or_default();
        let inside = if inside == "*" { ":" } else { inside };
        if inside.contains(',') {
            let each = inside.split(',').map(|part| action(&format!("[{}]", part.trim_matches(' ')), self.depth));
            nodes.push(Node::Union(each.collect::<Result<_, _>>()?));
            return Ok(());
        }
        let key = inside.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')).filter(|key| !key.contains('\''));
        if let Some(key) = key {
            nodes.extend(action(&format!(".{key}"), self.depth)?);
            return Ok(());
        }
        nodes.push(Node::Slice(slice(inside)?));
        Ok(())
    }

    fn filter(&mut self) -> Result<Node, String> {
        self.take(3);
        let mut quote = None;
        let mut closed = false;
        let mut before = ' ';
        let mut end = None;
        for (at, character) in self.rest.char_indices() {
            match character {
                '\n' => break,
                '"' | '\'' if quote.is_none() => quote = Some(character),
                '"' | '\'' if before != '\\' && quote == Some(character) => closed = true,
                ')' if quote.is_some() == closed => {
                    end = Some(at);
                    break;
                }
                _ => {}
            }
            before = character;
        }
        let end = end.ok_or("unterminated filter")?;
        let text = self.take(end + 1).get(..end).unwrap_or_default();
        if self.take(1) != "]" {
            return Err("unclosed array expect ]".to_owned());
        }
        let is_operator = |c: char| matches!(c, '!' | '<' | '>' | '=');
        let split = text.find(is_operator).filter(|at| *at > 0).and_then(|at| {
            let (left, rest) = text.split_at(at);
            let mut length = rest.find(|c: char| !is_operator(c)).unwrap_or(rest.len());
            if length == rest.len() {
                // The right side has at least one character.
                length -= 1;
            }
            let (operator, right) = rest.split_at(length);
            (!operator.is_empty()).then_some((left, operator, right))
        });
        Ok(Node::Filter(match split {
            None => Filter { left: action(text, self.depth)?, operator: None, right: Vec::new() },
            Some((left, operator, right)) => Filter {
                left: action(left, self.depth)?,
                operator: Some(operator.to_owned()),
                right: action(right, self.depth)?,
            },
        }))
    }

    fn quote(&mut self, quote: char) -> Result<Node, String> {
        let mut before = ' ';
        let mut end = None;
        for (at, character) in self.rest.char_indices().skip(1) {
            if character == '\n' {
                break;
            }
            if character == quote && before != '\\' {
                end = Some(at);
                break;
            }
            before = character;
        }
        let whole = self.take(end.ok_or("unterminated quoted string")? + 1);
        let inside = whole.get(1..whole.len() - 1).unwrap_or_default();
        let text = super::go::unquote(inside, quote);
        text.map(Node::Text).ok_or_else(|| format!("unquote string {whole} error invalid syntax"))
    }
}

fn slice(text: &str) -> Result<Slice, String> {
    let parts: Vec<&str> = text.split(':').collect();
    let is_number = |part: &&str| part.strip_prefix('-').unwrap_or(part).bytes().all(|byte| byte.is_ascii_digit());
    if parts.len() > 3 || !parts.iter().all(is_number) {
        return Err(format!("invalid array index {text}"));
    }
    let number = |index: usize| match parts.get(index) {
        None | Some(&"") => Ok(None),
        Some(part) => part.parse().map(Some).map_err(|_| format!("array index {part} is not a number")),
    };
    let from: Option<i64> = number(0)?;
    let one = parts.len() == 1;
    let to = if one { Some(from.unwrap_or(0).saturating_add(1)) } else { number(1)? };
    Ok(Slice { from, to, one, step: number(2)? })
}

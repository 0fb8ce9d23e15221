//! Weaves all mutants into one program. Each becomes a branch, taken while `mutant::is(N)` holds, which the environment
//! variable `MUTANT` decides when the tests run.

use std::ops::Range;

use proc_macro2::LineColumn;
use serde_json::Value;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

struct Mutant {
    number: usize,
    at: Range<usize>,
    replacement: String,
    genre: String,
}

/// What is put in at an offset; of several at one the closing ones come first, inner before outer, then outer before inner.
struct Insertion {
    at: usize,
    opens: bool,
    length: usize,
    text: String,
}

/// The text of a file with these of its mutants woven in. What stands on a line of its own is marked `/*mutant N*/`.
pub fn weave(text: &str, list: &[Value], numbers: impl Iterator<Item = usize>) -> String {
    let lines = line_starts(text);
    let mutants = numbers.map(|number| Mutant {
        number,
        at: range(text, &lines, &list[number]["span"]),
        replacement: list[number]["replacement"].as_str().unwrap_or_default().to_owned(),
        genre: list[number]["genre"].as_str().unwrap_or_default().to_owned(),
    });
    let mut weaver = Weaver { text, lines: &lines, mutants: mutants.collect(), insertions: Vec::new(), constant: 0 };
    weaver.visit_file(&syn::parse_file(text).expect("Rust"));
    weaver.woven()
}

fn line_starts(text: &str) -> Vec<usize> {
    std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect()
}

/// Lines are counted from 1, columns, in characters, from 0.
fn offset(text: &str, lines: &[usize], line: usize, column: usize) -> usize {
    let start = lines[line - 1];
    start + text[start..].chars().take(column).map(char::len_utf8).sum::<usize>()
}

fn range(text: &str, lines: &[usize], span: &Value) -> Range<usize> {
    let place = |which: &str| {
        let number = |name: &str| span[which][name].as_u64().expect("a number") as usize;
        offset(text, lines, number("line"), number("column") - 1)
    };
    place("start")..place("end")
}

struct Weaver<'a> {
    text: &'a str,
    lines: &'a [usize],
    mutants: Vec<Mutant>,
    insertions: Vec<Insertion>,
    /// How many constants, statics and constant functions are around: nothing can be asked there.
    constant: u32,
}

impl Weaver<'_> {
    fn span(&self, node: &impl Spanned) -> Range<usize> {
        let span = node.span();
        let at = |place: LineColumn| offset(self.text, self.lines, place.line, place.column);
        at(span.start())..at(span.end())
    }

    fn take(&mut self, wanted: impl Fn(&Mutant) -> bool) -> Vec<Mutant> {
        let (taken, kept) = std::mem::take(&mut self.mutants).into_iter().partition(wanted);
        self.mutants = kept;
        if self.constant > 0 { Vec::new() } else { taken }
    }

    fn around(&mut self, what: &Range<usize>, before: String, after: &str) {
        let length = what.len();
        self.insertions.push(Insertion { at: what.start, opens: true, length, text: before });
        self.insertions.push(Insertion { at: what.end, opens: false, length, text: after.to_owned() });
    }

    /// The expression, or, for each of these mutants, what they make of it.
    fn choose(&mut self, expression: &Range<usize>, mutants: &[Mutant]) {
        if mutants.is_empty() {
            return;
        }
        let mut before = "(".to_owned();
        for mutant in mutants {
            let number = mutant.number;
            let (start, end) =
                (&self.text[expression.start..mutant.at.start], &self.text[mutant.at.end..expression.end]);
            let line = one_line(&format!("{start} {} {end}", mutant.replacement));
            before += &format!("if crate::mutant::is({number}) {{\n/*mutant {number}*/ {line}\n}} else ");
        }
        self.around(expression, before + "{", "})");
    }

    fn woven(mut self) -> String {
        // What was put around the same text first is outermost.
        let mut numbered: Vec<(usize, Insertion)> =
            std::mem::take(&mut self.insertions).into_iter().enumerate().collect();
        numbered.sort_by_key(|(nth, one)| match one.opens {
            true => (one.at, true, usize::MAX - one.length, *nth),
            false => (one.at, false, one.length, usize::MAX - nth),
        });
        let mut woven = String::new();
        let mut done = 0;
        for (_, one) in &numbered {
            woven += &self.text[done..one.at];
            woven += &one.text;
            done = one.at;
        }
        woven + &self.text[done..]
    }

    fn function(&mut self, returns: &syn::ReturnType, block: &syn::Block) {
        let body = self.span(block);
        let within = |mutant: &Mutant| body.start <= mutant.at.start && mutant.at.end <= body.end;
        let mutants = self.take(|mutant| mutant.genre == "FnValue" && within(mutant));
        // Of a function within a function the inner one's are not the outer one's.
        let first = block.stmts.first().map(|first| self.span(first).start);
        let (mine, others): (Vec<_>, Vec<_>) = mutants.into_iter().partition(|mutant| Some(mutant.at.start) == first);
        self.mutants.extend(others);
        let mine: Vec<_> = mine.into_iter().map(|mutant| (mutant.number, one_line(&mutant.replacement))).collect();
        let returned = match returns {
            syn::ReturnType::Type(_, kind) => &self.text[self.span(kind)],
            syn::ReturnType::Default => "",
        };
        let (mut before, mut after) = (String::new(), "");
        match returned.strip_prefix("impl ") {
            // Of one type each, which only a box hides.
            Some(kind) if !mine.is_empty() => {
                before = format!("let all: Box<dyn {kind} + '_> = ");
                for (number, value) in mine {
                    before +=
                        &format!("if crate::mutant::is({number}) {{\n/*mutant {number}*/ Box::new({value})\n}} else ");
                }
                (before, after) = (before + "{ Box::new({", "}) }; all");
            }
            _ => {
                for (number, value) in mine {
                    before += &format!("\n/*mutant {number}*/ if crate::mutant::is({number}) {{ return {value}; }}\n");
                }
            }
        }
        let length = usize::MAX / 2;
        self.insertions.push(Insertion { at: body.start + 1, opens: true, length, text: before });
        self.insertions.push(Insertion { at: body.end - 1, opens: false, length, text: after.to_owned() });
    }
}

/// Without line ends, and so without comments that reach to them.
fn one_line(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.map(|line| line.split(" // ").next().unwrap_or_default()).collect::<Vec<_>>().join(" ")
}

/// Whether the expression is a condition with a pattern in it, which stands only where an `if` or a `while` wants it.
fn has_pattern(expression: &syn::Expr) -> bool {
    match expression {
        syn::Expr::Let(_) => true,
        syn::Expr::Binary(binary) => has_pattern(&binary.left) || has_pattern(&binary.right),
        _ => false,
    }
}

impl<'ast> Visit<'ast> for Weaver<'_> {
    fn visit_item_const(&mut self, item: &'ast syn::ItemConst) {
        self.constant += 1;
        visit::visit_item_const(self, item);
        self.constant -= 1;
    }

    fn visit_item_static(&mut self, item: &'ast syn::ItemStatic) {
        self.constant += 1;
        visit::visit_item_static(self, item);
        self.constant -= 1;
    }

    fn visit_impl_item_const(&mut self, item: &'ast syn::ImplItemConst) {
        self.constant += 1;
        visit::visit_impl_item_const(self, item);
        self.constant -= 1;
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        let constant = u32::from(item.sig.constness.is_some());
        self.constant += constant;
        self.function(&item.sig.output, &item.block);
        visit::visit_item_fn(self, item);
        self.constant -= constant;
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        let constant = u32::from(item.sig.constness.is_some());
        self.constant += constant;
        self.function(&item.sig.output, &item.block);
        visit::visit_impl_item_fn(self, item);
        self.constant -= constant;
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.function(&item.sig.output, block);
        }
        visit::visit_trait_item_fn(self, item);
    }

    fn visit_expr_binary(&mut self, binary: &'ast syn::ExprBinary) {
        let operator = self.span(&binary.op);
        let mutants = self.take(|mutant| mutant.genre == "BinaryOperator" && mutant.at == operator);
        if !has_pattern(&binary.left) && !has_pattern(&binary.right) {
            let expression = self.span(binary);
            self.choose(&expression, &mutants);
        }
        visit::visit_expr_binary(self, binary);
    }

    fn visit_expr_unary(&mut self, unary: &'ast syn::ExprUnary) {
        let operator = self.span(&unary.op);
        let mutants = self.take(|mutant| mutant.genre == "UnaryOperator" && mutant.at == operator);
        let expression = self.span(unary);
        self.choose(&expression, &mutants);
        visit::visit_expr_unary(self, unary);
    }

    fn visit_expr_struct(&mut self, value: &'ast syn::ExprStruct) {
        let expression = self.span(value);
        let mut deleted = Vec::new();
        for field in &value.fields {
            let at = self.span(field);
            let mut mutants = self
                .take(|mutant| mutant.genre == "StructField" && at.start == mutant.at.start && at.end <= mutant.at.end);
            for mutant in &mut mutants {
                // The comma goes with the field.
                let rest = &self.text[at.end..];
                let comma = rest.len() - rest.trim_start().strip_prefix(',').map_or(rest.len(), str::len);
                mutant.at = at.start..at.end + comma;
            }
            deleted.extend(mutants);
        }
        self.choose(&expression, &deleted);
        visit::visit_expr_struct(self, value);
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        let pattern = self.span(&arm.pat);
        let guard = arm.guard.as_ref().map(|(_, guard)| self.span(guard));
        let whole = self.span(arm);
        let deleted = self.take(|mutant| mutant.genre == "MatchArm" && mutant.at.start == whole.start);
        let mut before = String::new();
        for Mutant { number, .. } in &deleted {
            before += &format!("\n/*mutant {number}*/ !crate::mutant::is({number})\n && ");
        }
        match &guard {
            None if !before.is_empty() => {
                let text = format!(" if {} true ", before);
                self.insertions.push(Insertion { at: pattern.end, opens: false, length: usize::MAX / 2, text });
            }
            None => {}
            // A guard with a pattern in it is an operand as it stands; without it what it binds would be missing.
            Some(guard) if arm.guard.as_ref().is_some_and(|(_, guard)| has_pattern(guard)) => {
                self.insertions.push(Insertion { at: guard.start, opens: true, length: guard.len(), text: before });
            }
            Some(guard) => {
                let mut after = String::new();
                for Mutant { number, replacement, .. } in
                    self.take(|mutant| mutant.genre == "MatchArmGuard" && mutant.at == *guard)
                {
                    before += &match replacement.as_str() {
                        "true" => format!("(\n/*mutant {number}*/ crate::mutant::is({number})\n || "),
                        // Bracketed, so that it is not taken for an arm that is deleted.
                        _ => format!("(\n/*mutant {number}*/ (!crate::mutant::is({number}))\n && "),
                    };
                    after += ")";
                }
                if !before.is_empty() {
                    self.around(guard, before + "(", &format!("){after}"));
                }
            }
        }
        visit::visit_arm(self, arm);
    }
}

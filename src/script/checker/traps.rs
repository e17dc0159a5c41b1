//! What the language allows and hardly anybody means.

use rhai::{ASTFlags, Expr, FnCallExpr, FnPtr, Stmt};

use super::{
    Check,
    tree::{Around, Is, Node, root},
};
use crate::script::{conduct::Place, error::ScriptError, finding::Finding};

/// Methods that keep what they are given.
const KEEPING: [&str; 4] = ["push", "insert", "append", "set"];
/// Methods that compare two items by a function.
const COMPARING: [&str; 3] = ["sort", "sort_by", "dedup"];

impl<'a> Check<'a> {
    pub(super) fn trap(&mut self, node: Node<'a>, around: &Around<'a>) {
        match node {
            Node::Stmt(Stmt::Assignment(assignment)) => {
                self.constant(&assignment.1.lhs, around);
                self.kept_closure(&assignment.1.rhs, around);
            }
            Node::Stmt(Stmt::TryCatch(flow, position)) if flow.branch.is_empty() => {
                let error = ScriptError::new(
                    "swallowed",
                    "this `catch` swallows every failure of what stands in the `try`",
                );
                let hint = "look at what was caught: `catch (e) { if e.code != \"...\" { throw e; } }`";
                self.warning(error.hint(hint), *position);
            }
            Node::Expr(Expr::MethodCall(call, _)) => self.closures_of(call, around),
            Node::Expr(Expr::Array(items, _)) => {
                items.iter().for_each(|item| self.kept_closure(item, around));
            }
            Node::Expr(Expr::Map(map, _)) => {
                map.0.iter().for_each(|(_, item)| self.kept_closure(item, around));
            }
            Node::Expr(Expr::StringConstant(text, position)) if meant_to_be_filled(text) => {
                let error = ScriptError::new(
                    "no_interpolation",
                    "in a text in `\"`, `${...}` stays as it is written",
                );
                self.warning(error.hint("write the text in backticks"), *position);
            }
            _ => {}
        }
    }

    /// rhai refuses `NAME = ...` itself; parts of a constant it would change in silence, or refuse in the middle.
    fn constant(&mut self, to: &'a Expr, around: &Around<'a>) {
        let name = match root(to) {
            Some(name) if matches!(around.name(name).map(|name| name.is), Some(Is::Const)) => name.to_owned(),
            Some(_) => return,
            None => match qualified(to) {
                Some(name) => name,
                None => return,
            },
        };
        let error =
            ScriptError::new("assign_to_constant", format!("`{name}` is constant, with all that is in it"));
        self.error(
            error.hint(format!("copy it first: `let own = {name};`, and change the copy")),
            to.start_position(),
        );
    }

    fn closures_of(&mut self, call: &'a FnCallExpr, around: &Around<'a>) {
        if KEEPING.contains(&call.name.as_str()) {
            call.args.iter().for_each(|argument| self.kept_closure(argument, around));
        }
        if !COMPARING.contains(&call.name.as_str()) {
            return;
        }
        let Some(given) = call.args.first() else { return };
        let Some((name, captured)) = closure(given) else { return };
        let file = self.file;
        let Some(function) = file.functions.iter().find(|function| function.name == name) else { return };
        let takes = function.params.len().saturating_sub(captured);
        if takes != 2 {
            let text = format!("the function of `{}` gets 2 values to compare, and takes {takes}", call.name);
            let error = ScriptError::new("wrong_arguments", text);
            return self.error(error.hint(example(&call.name)), given.start_position());
        }
        if call.name != "dedup"
            && let [only] = &function.body[..]
            && called(only).is_some_and(|said| ["==", "!="].contains(&said.name.as_str()))
        {
            let text = format!(
                "the function of `{}` says whether two values are equal, not which comes first",
                call.name
            );
            self.warning(ScriptError::new("no_order", text).hint(example(&call.name)), only.position());
        }
    }

    /// A closure that is kept sees the loop's variable as it is by then.
    fn kept_closure(&mut self, expr: &'a Expr, around: &Around<'a>) {
        let Expr::Stmt(block) = expr else { return };
        let [Stmt::Share(shared), ..] = block.statements() else { return };
        for (name, _) in shared.iter() {
            if matches!(around.name(&name.name).map(|name| name.is), Some(Is::Turn)) {
                let text = format!(
                    "this function is kept, and sees the last `{}` of the loop, not that of its turn",
                    name.name
                );
                let hint = format!("copy it in the loop: `let one = {};`, and use `one`", name.name);
                self.warning(ScriptError::new("captures_loop", text).hint(hint), name.pos);
            }
        }
    }

    pub(super) fn unreachable(&mut self, statements: &'a [Stmt]) {
        let ends = statements.iter().position(|statement| ending(statement).is_some());
        let Some(at) = ends else { return };
        let after = statements[at + 1..]
            .iter()
            .find(|statement| !matches!(statement, Stmt::Noop(_) | Stmt::Share(_)));
        if let (Some(word), Some(after)) = (ending(&statements[at]), after) {
            let error =
                ScriptError::new("unreachable", format!("this is never run: `{word}` stands before it"));
            self.warning(error.hint(format!("take it out, or the `{word}`")), after.position());
        }
    }
}

fn ending(statement: &Stmt) -> Option<&'static str> {
    match statement {
        Stmt::Return(_, flags, _) if flags.contains(ASTFlags::BREAK) => Some("throw"),
        Stmt::Return(..) => Some("return"),
        Stmt::BreakLoop(_, flags, _) if flags.contains(ASTFlags::BREAK) => Some("break"),
        Stmt::BreakLoop(..) => Some("continue"),
        other => {
            let call = called(other)?;
            (call.name == "fail" && call.namespace.path.is_empty()).then_some("fail")
        }
    }
}

fn example(method: &str) -> &'static str {
    match method {
        "dedup" => "e.g. `list.dedup(|a, b| a == b)`",
        _ => "e.g. `list.sort(|a, b| a - b)`, or `|a, b| a <= b`",
    }
}

/// The call that is the whole of a statement.
fn called(statement: &Stmt) -> Option<&FnCallExpr> {
    match statement {
        Stmt::FnCall(call, _) => Some(call),
        Stmt::Expr(expr) => match &**expr {
            Expr::FnCall(call, _) => Some(call),
            _ => None,
        },
        _ => None,
    }
}

/// The generated name of a closure, and how many values of around it has hold of.
fn closure(expr: &Expr) -> Option<(String, usize)> {
    match expr {
        Expr::DynamicConstant(value, _) => Some((value.read_lock::<FnPtr>()?.fn_name().to_owned(), 0)),
        Expr::Stmt(block) => match block.statements() {
            [Stmt::Share(_), Stmt::Expr(call)] => match &**call {
                Expr::FnCall(call, _) if call.name == "curry" => {
                    let (name, _) = closure(call.args.first()?)?;
                    Some((name, call.args.len() - 1))
                }
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

/// `params::x`, `site::y`: of another file or of the host.
fn qualified(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Variable(variable, ..) => Some(format!("{}::{}", variable.2.path.first()?.name, variable.1)),
        Expr::Dot(chain, ..) | Expr::Index(chain, ..) => qualified(&chain.lhs),
        _ => None,
    }
}

/// `///` that no function follows. An engine that keeps such comments refuses the file: so may an editor.
pub(super) fn doc_comments(file: &str, text: &str, findings: &mut Vec<Finding>) {
    let mut begins: Option<usize> = None;
    for (at, line) in code_lines(text) {
        let line = line.trim();
        if line.starts_with("///") && !line.starts_with("////") {
            begins.get_or_insert(at);
            continue;
        }
        let Some(begun) = begins else { continue };
        if line.is_empty() || line.starts_with("//") {
            continue;
        }
        begins = None;
        if !["fn ", "private fn ", "private"].iter().any(|word| line.starts_with(word)) {
            let error = ScriptError::new("doc_comment", "`///` belongs directly before a function");
            let error = error.hint("write `//` here, and `//!` at the head of the file");
            let column = text.lines().nth(begun - 1).and_then(|line| line.find("///")).unwrap_or(0) + 1;
            findings.push(Finding::warning(error.at(Place { file: file.to_owned(), line: begun, column })));
        }
    }
}

/// Lines with their numbers, those inside a text or a block comment left out.
fn code_lines(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    // What is open at the end of a line: a backtick text, or block comments.
    let (mut backtick, mut depth) = (false, 0_usize);
    for (at, line) in text.lines().enumerate() {
        if !backtick && depth == 0 {
            found.push((at + 1, line));
        }
        let mut letters = line.chars().peekable();
        let mut quote = false;
        while let Some(letter) = letters.next() {
            match (letter, letters.peek()) {
                ('\\', Some(_)) if quote || backtick => drop(letters.next()),
                ('"', _) if !backtick && depth == 0 => quote = !quote,
                ('`', _) if !quote && depth == 0 => backtick = !backtick,
                ('/', Some('/')) if !quote && !backtick && depth == 0 => break,
                ('/', Some('*')) if !quote && !backtick => {
                    depth += 1;
                    letters.next();
                }
                ('*', Some('/')) if depth > 0 => {
                    depth -= 1;
                    letters.next();
                }
                _ => {}
            }
        }
    }
    found
}

/// Whether a text looks as if something was to be put into it. `${HOME}` is what a shell reads.
fn meant_to_be_filled(text: &str) -> bool {
    let shells = |name: &str| {
        name.chars().all(|letter| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_')
    };
    text.split("${").skip(1).any(|rest| rest.split_once('}').is_some_and(|(name, _)| !shells(name.trim())))
}

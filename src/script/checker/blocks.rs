//! `step`, `on` and `together`: where they may stand, and how they may be called.

use std::collections::BTreeSet;

use rhai::{Expr, Position, Stmt};

use super::{
    Check,
    options::of_literal,
    tree::{Around, Block, Node, Visit, own_block},
};
use crate::script::error::ScriptError;

/// Collects the names of literal steps.
pub(super) struct Steps(pub Vec<String>);

impl<'a> Visit<'a> for Steps {
    fn node(&mut self, node: Node<'a>, _: &Around<'a>) {
        if let Node::Expr(expr) = node
            && let Some(("step", [Expr::StringConstant(name, _), ..])) = own_block(expr)
        {
            self.0.push(name.to_string());
        }
    }
}

impl<'a> Check<'a> {
    pub(super) fn own_block(&mut self, node: Node<'a>, around: &Around<'a>) {
        match node {
            Node::Stmt(Stmt::Switch(switch, _)) => self.switch(&switch.1),
            Node::Expr(expr) => match own_block(expr) {
                Some(("test", [Expr::StringConstant(name, position), _])) => {
                    self.test(name, *position, around);
                }
                Some((word, _)) if self.is_tests() => self.block_in_test(word, expr.start_position()),
                Some(("step", [Expr::StringConstant(name, position), rest @ ..])) => {
                    self.step(name, *position, around);
                    if let [with, _] = rest {
                        self.with(with);
                    }
                }
                Some(("on", [host, _])) => self.on(host),
                Some(("together", [block])) => self.together(block, expr.start_position(), around),
                _ => {}
            },
            Node::Stmt(_) => {}
        }
    }

    fn step(&mut self, name: &str, position: Position, around: &Around<'a>) {
        if name.trim().is_empty() || name.contains(|one: char| one == '/' || one == '#' || one.is_control()) {
            let text = format!("`{}` cannot be the name of a step", quoted(name));
            let error = ScriptError::new("bad_step_name", text).hint("use words, without `/` and `#`");
            self.error(error, position);
        }
        if self.is_hooks() {
            let text = format!("step `{name}` cannot stand inside a hook");
            let hint = "leave `step` out: what a hook does stands in the step that it belongs to";
            self.error(ScriptError::new("step_in_hook", text).hint(hint), position);
        }
        if around.in_together() {
            let error = ScriptError::new("step_in_together", "a step cannot stand inside `together`");
            self.error(error.hint("write `together { ... }` inside the step"), position);
        }
        if let Some(function) = around.function.filter(|function| !function.is_closure()) {
            self.graph.has_step(&self.file.name, &function.name, position);
        }
        let (mut path, mut plain) = (Vec::new(), around.function.is_none());
        for block in &around.blocks {
            match block {
                Block::Step(outer) => path.push(*outer),
                // Under `on`, in functions and in branches the same name may come again on another path.
                _ => plain = false,
            }
        }
        path.push(name);
        let path = path.join("/");
        if plain && !self.steps.insert(path.clone()) {
            let error = ScriptError::new("step_twice", format!("there are two steps `{path}`"));
            self.error(error.hint("give each step a name of its own"), position);
        }
        let from_loop =
            around.blocks.iter().rev().take_while(|block| !matches!(block, Block::On | Block::Step(_)));
        if from_loop.into_iter().any(|block| *block == Block::Loop) {
            let text = format!("the loop comes to the step `{name}` again, and a step is there once");
            let error = ScriptError::new("step_again", text)
                .hint("let the loop stand inside the step; over hosts write `on host { step ... }`");
            self.warning(error, position);
        }
    }

    fn on(&mut self, host: &Expr) {
        const EXAMPLE: &str =
            "e.g. `on site::hosts[0] { ... }`, or `for host in site::hosts { on host { ... } }`";
        let text = match host {
            Expr::StringConstant(name, _) => {
                let odd = |letter: char| letter.is_whitespace() || letter == '/' || letter == '#';
                (name.is_empty() || name.contains(odd))
                    .then(|| format!("`{}` cannot be the name of a host", quoted(name)))
            }
            Expr::InterpolatedString(..) => None,
            other => of_literal(other).map(|kind| format!("`on` takes the name of a host, not {kind}")),
        };
        if let Some(text) = text {
            self.error(ScriptError::new("bad_host", text).hint(EXAMPLE), host.start_position());
        }
    }

    fn together(&mut self, block: &Expr, position: Position, around: &Around<'a>) {
        if around.in_together() {
            let error = ScriptError::new("nested_together", "`together` cannot stand inside `together`");
            self.error(error.hint("end the outer block first, or write all calls into one"), position);
        }
        if matches!(block, Expr::Stmt(statements) if statements.is_empty()) {
            let error = ScriptError::new("empty_block", "there is nothing in this `together`");
            self.warning(error.hint("take it out, or write into it what is to go on side by side"), position);
        }
    }

    /// rhai reads the wrong variable, or panics, after a bare `let` as the arm of a `switch`.
    fn switch(&mut self, cases: &rhai::SwitchCasesCollection) {
        let mut told = BTreeSet::new();
        for case in &cases.expressions {
            if let Expr::Stmt(block) = &case.rhs
                && let [Stmt::Var(_, _, position)] = block.statements()
                && told.insert((position.line(), position.position()))
            {
                let error =
                    ScriptError::new("let_in_switch", "a `let` cannot be an arm of `switch` by itself");
                self.error(error.hint("write it in braces, or before the `switch`"), *position);
            }
        }
    }
}

/// What is nothing but blanks would not be seen.
fn quoted(name: &str) -> String {
    if name.trim().is_empty() { format!("\"{name}\"") } else { name.to_owned() }
}

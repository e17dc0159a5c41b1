//! Names that a file defines: taken ones, ones that hide others, ones that nobody needs.

use std::collections::BTreeSet;

use rhai::{AST, Expr, Position, Stmt};

use super::{
    Check,
    tree::{Around, Is, Name, Node, Visit},
};
use crate::{
    primitives::contract::suggest,
    script::{error::ScriptError, names::taken, testing::TAKEN},
};

/// Collects the functions that are called, by name or like a method, or handed on by name.
pub(super) struct Called(pub BTreeSet<String>);

impl<'a> Visit<'a> for Called {
    fn node(&mut self, node: Node<'a>, _: &Around<'a>) {
        match node {
            Node::Expr(Expr::FnCall(call, _) | Expr::MethodCall(call, _))
            | Node::Stmt(Stmt::FnCall(call, _)) => {
                self.0.insert(call.name.to_string());
            }
            Node::Expr(Expr::StringConstant(text, _)) => {
                self.0.insert(text.to_string());
            }
            _ => {}
        }
    }
}

/// Collects the keys that maps are written with, and what is set in them later.
pub(super) struct Keys<'a>(pub BTreeSet<&'a str>);

impl<'a> Visit<'a> for Keys<'a> {
    fn node(&mut self, node: Node<'a>, _: &Around<'a>) {
        match node {
            Node::Expr(Expr::Map(map, _)) => self.0.extend(map.0.iter().map(|(key, _)| key.name.as_str())),
            Node::Stmt(Stmt::Assignment(assignment)) => last_property(&assignment.1.lhs, &mut self.0),
            _ => {}
        }
    }
}

fn last_property<'a>(expr: &'a Expr, found: &mut BTreeSet<&'a str>) {
    match expr {
        Expr::Dot(chain, ..) | Expr::Index(chain, ..) => last_property(&chain.rhs, found),
        Expr::Property(property, _) => drop(found.insert(property.2.as_str())),
        Expr::StringConstant(key, _) => drop(found.insert(key.as_str())),
        _ => {}
    }
}

impl<'a> Check<'a> {
    /// A function of such a name would be called instead of uplift's own.
    pub(super) fn shadows(&mut self, ast: &AST) {
        for function in ast.iter_functions() {
            let of_tests = self.known.tests && TAKEN.contains(&function.name);
            if of_tests || taken(self.known.catalogue, function.name) {
                let text = format!(
                    "`{}` is uplift's own: no file may define a function of that name",
                    function.name
                );
                let definition = ast.shared_lib().get_script_fn(function.name, function.params.len());
                let position =
                    definition.map_or(Position::NONE, |definition| definition.body.start_position());
                self.error(ScriptError::new("name_taken", text).hint("use another name"), position);
            }
        }
    }

    /// Old names of steps lead to steps that are there, and are no longer names of any.
    pub(super) fn renames(&mut self, ast: &AST) {
        let Some((_, position)) = super::header(ast) else { return };
        let steps = super::all_steps(self.known.bundle, self.known.compiled);
        let known: Vec<_> = steps.iter().map(String::as_str).collect();
        for (old, new) in self.known.renamed {
            let (text, hint) = if !known.contains(&new.as_str()) {
                (format!("`renamed` leads to `{new}`, and there is no such step"), suggest(new, &known))
            } else if known.contains(&old.as_str()) {
                let hint = "take it out: hooks of that name still have their step".to_owned();
                (
                    format!("`renamed` says that `{old}` is called `{new}` now, and `{old}` is a step yet"),
                    hint,
                )
            } else {
                continue;
            };
            self.error(ScriptError::new("renamed_wrong", text).hint(hint), position);
        }
    }

    /// Tells of the functions of this file, for those who call them.
    pub(super) fn functions(&mut self) {
        for function in self.file.functions.iter().filter(|function| !function.is_closure()) {
            self.graph.defines(&self.file.name, &function.name, function.start, function.private);
        }
    }

    pub(super) fn shadowing(&mut self, name: &Name<'a>, around: &Around<'a>) {
        let Some(outer) = around.name(name.text) else { return };
        let Some(line) = outer.position.line() else { return };
        let text = format!("`{}` hides the one of line {line}", name.text);
        let error = ScriptError::new("name_hidden", text)
            .hint("use another name, or set the first one without `let`");
        self.warning(error, name.position);
    }

    pub(super) fn unused(&mut self, name: &Name<'a>, around: &Around<'a>) {
        let own = matches!(name.is, Is::Let(_) | Is::Const | Is::Caught | Is::Turn);
        // What a library defines at its top, its importers may see.
        let seen = around.function.is_none() && around.blocks.is_empty() && !self.is_main();
        if !own || name.used || seen || name.text.starts_with('_') || name.text == "RUNBOOK" {
            return;
        }
        let (text, hint) = match name.is {
            Is::Caught => (
                format!("the failure is caught as `{}`, and nobody looks at it", name.text),
                format!("look at `{}.code`, or write `catch {{ ... }}` without a name", name.text),
            ),
            _ => (
                format!("nobody reads `{}`", name.text),
                format!("take it out, or call it `_{}` if that is meant", name.text),
            ),
        };
        self.warning(ScriptError::new("unused", text).hint(hint), name.position);
    }
}

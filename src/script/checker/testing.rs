//! Files of tests: what may stand in them, and the words that only they have.

use std::collections::BTreeSet;

use rhai::{Expr, FnCallExpr, Position, Stmt};

use super::{
    Check,
    calls::wrong_arguments,
    tree::{Around, Block, Is, Node},
};
use crate::{
    primitives::contract::suggest,
    script::{
        error::ScriptError,
        testing::{LET_IT_RUN, TestWord, WordKind, of_kind},
    },
};

/// What a value is made of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Made {
    Site,
    Run,
    Plan,
}

impl Made {
    fn of_call(name: &str) -> Option<Self> {
        match name {
            "simulated" => Some(Self::Site),
            "run" | "resume" | "rollback" => Some(Self::Run),
            "plan" => Some(Self::Plan),
            _ => None,
        }
    }

    fn parts(self) -> Vec<&'static str> {
        let kind = match self {
            Self::Site => WordKind::Seen,
            Self::Run => WordKind::OfRun,
            Self::Plan => WordKind::OfPlan,
        };
        of_kind(kind).map(|word| word.name).collect()
    }

    fn says(self) -> &'static str {
        match self {
            Self::Site => "a simulated site has",
            Self::Run => "what a run gives has",
            Self::Plan => "a plan has",
        }
    }
}

impl<'a> Check<'a> {
    pub(super) fn test(&mut self, name: &str, position: Position, around: &Around<'a>) {
        if name.trim().is_empty() || name.contains(char::is_control) {
            let error = ScriptError::new("bad_test_name", "a test needs a name of one line");
            return self.error(
                error.hint("say what is promised: `test \"a release that dies is taken back\" { ... }`"),
                position,
            );
        }
        if around.function.is_some() || !around.blocks.is_empty() {
            let error =
                ScriptError::new("test_inside", format!("the test `{name}` stands inside of something else"));
            return self.error(
                error.hint("let it stand by itself: what several tests need is a function"),
                position,
            );
        }
        if self.tested.insert(name.to_owned(), (position, false)).is_some() {
            let error = ScriptError::new("test_twice", format!("there are two tests `{name}`"));
            self.error(error.hint("give each test a name of its own"), position);
        }
    }

    pub(super) fn block_in_test(&mut self, word: &str, position: Position) {
        let error = ScriptError::new(
            "step_in_test",
            format!("`{word}` belongs into runbooks, and this file has tests"),
        );
        self.error(error.hint(LET_IT_RUN), position);
    }

    pub(super) fn call_in_test(&mut self, verb: &str, position: Position) {
        let text = format!("`{verb}` is what runbooks call, and a test is none");
        self.error(ScriptError::new("call_in_test", text).hint(LET_IT_RUN), position);
    }

    /// What runs by itself would run again for every test.
    pub(super) fn top_of_tests(&mut self) {
        if !self.is_tests() {
            return;
        }
        let fits = |statement: &&Stmt| match statement {
            Stmt::Var(_, flags, _) => flags.contains(rhai::ASTFlags::CONSTANT),
            Stmt::Import(..) | Stmt::Noop(_) => true,
            Stmt::Expr(expr) => matches!(&**expr, Expr::Custom(..)),
            _ => false,
        };
        if let Some(other) = self.file.top.iter().find(|statement| !fits(statement)) {
            let error = ScriptError::new("outside_test", "this stands outside of every test");
            let hint = "a test file has imports, constants, functions and `test \"NAME\" { ... }` at its top";
            self.error(error.hint(hint), other.position());
        }
        if let Some((_, position)) = super::header_of(&self.file.top) {
            let error =
                ScriptError::new("outside_test", "this file has tests in it, and so it is no runbook");
            self.error(error.hint("take `RUNBOOK` out, or the tests into a file of their own"), position);
        }
    }

    /// A test in which nothing is expected, and no function called that might.
    pub(super) fn expecting(&mut self) {
        for (name, (position, expects)) in std::mem::take(&mut self.tested) {
            if !expects {
                let text = format!("the test `{name}` expects nothing, and so it cannot pass");
                let error = ScriptError::new("nothing_expected", text);
                self.warning(error.hint("say what must be so: `expect(run.ending, \"done\")`"), position);
            }
        }
    }

    pub(super) fn of_test(&mut self, node: Node<'a>, around: &Around<'a>) {
        if !self.is_tests() {
            return;
        }
        if let Node::Expr(Expr::FnCall(call, _)) | Node::Stmt(Stmt::FnCall(call, _)) = node
            && let Some(Block::Test(name)) = around.blocks.first()
        {
            let own = !call.namespace.path.is_empty()
                || self.file.functions.iter().any(|function| function.name == call.name);
            if let Some((_, expects)) = self.tested.get_mut(*name) {
                *expects |= own || call.name.starts_with("expect");
            }
        }
        if let Node::Expr(Expr::Dot(chain, ..)) = node {
            self.part(&chain.lhs, &chain.rhs, around);
        }
    }

    /// `site.versoin`, `run.endign`: what is certainly not there.
    fn part(&mut self, of: &'a Expr, rest: &'a Expr, around: &Around<'a>) {
        let Some(made) = made_by(of, around) else { return };
        // A chain goes on to the right: `site.run(...).ending`.
        let (made, rest) = match rest {
            Expr::Dot(chain, ..) => match (&chain.lhs, made) {
                (Expr::MethodCall(call, _), Made::Site) => match Made::of_call(&call.name) {
                    Some(made) => (made, &chain.rhs),
                    None => return,
                },
                _ => (made, rest),
            },
            _ => (made, rest),
        };
        let first = match rest {
            Expr::Dot(chain, ..) | Expr::Index(chain, ..) => &chain.lhs,
            other => other,
        };
        let Expr::Property(property, position) = first else { return };
        let (name, known) = (property.2.as_str(), made.parts());
        if known.contains(&name) {
            return;
        }
        let is_call = made == Made::Site && of_kind(WordKind::Call).any(|word| word.name == name);
        let hint = if is_call { format!("it is called: `site.{name}(...)`") } else { suggest(name, &known) };
        let text = format!("{} no `{name}`", made.says());
        self.error(ScriptError::new("no_such_value", text).hint(hint), *position);
    }

    pub(super) fn test_method(&mut self, call: &'a FnCallExpr, position: Position, around: &Around<'a>) {
        let name = call.name.as_str();
        let word: Option<&TestWord> = of_kind(WordKind::Call).find(|word| word.name == name);
        // The language's own methods of lists, texts and maps go by some of these names too.
        let takes: BTreeSet<usize> =
            self.callable.get(name).into_iter().flatten().filter_map(|count| count.checked_sub(1)).collect();
        match word {
            Some(word) if !takes.contains(&call.args.len()) => {
                let written: Vec<_> = word.forms.iter().map(|form| format!("site.{form}")).collect();
                let error = wrong_arguments(name, &takes, call.args.len(), &written);
                self.error(error, position);
            }
            None if !self.callable.contains_key(name) && !self.keys.contains(name) => {
                let calls: Vec<_> = of_kind(WordKind::Call).map(|word| word.name).collect();
                let text = format!("a simulated site has no call `{name}`, nor has any other value");
                let seen = of_kind(WordKind::Seen).any(|word| word.name == name);
                let hint = if seen {
                    format!("leave the brackets out: `site.{name}`")
                } else {
                    suggest(name, &calls)
                };
                self.error(ScriptError::new("no_such_function", text).hint(hint), position);
            }
            _ => {}
        }
        let site = self.site(position, around);
        self.graph.calls(site, &self.file.name, name);
    }
}

/// What a value certainly is: a name that was set to it, or the call itself.
fn made_by(expr: &Expr, around: &Around<'_>) -> Option<Made> {
    match expr {
        Expr::FnCall(call, _) if call.namespace.path.is_empty() => {
            Made::of_call(&call.name).filter(|made| *made == Made::Site)
        }
        Expr::Variable(variable, ..) if variable.2.path.is_empty() => match around.name(&variable.1)?.is {
            Is::Let(value) if !around.is_set_again(&variable.1) => made_by(value, around),
            _ => None,
        },
        Expr::Dot(chain, ..) => match (made_by(&chain.lhs, around)?, &chain.rhs) {
            (Made::Site, Expr::MethodCall(call, _)) => Made::of_call(&call.name),
            _ => None,
        },
        _ => None,
    }
}

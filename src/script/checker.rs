//! Everything that can be known of a script before it runs, in every file of its bundle.
//!
//! A misspelt name inside `try` would otherwise be swallowed at three in the morning, and one behind an `if` found
//! when the site is half changed. What is said as an error is certain, because no runbook with one is run; what is only
//! likely is a warning.

mod blocks;
mod calls;
mod graph;
mod imports;
mod names;
mod options;
mod outcomes;
mod testing;
mod traps;
mod tree;

pub(super) use options::literal;

use std::collections::{BTreeMap, BTreeSet};

use rhai::{AST, ASTFlags, Engine, Expr, Position, Stmt};

use self::{
    graph::{Graph, Site},
    tree::{Around, File, Name, Node, Visit},
};
use super::{
    conduct::Place, error::ScriptError, finding::Finding, hooks, names::Functions, outcome::place,
    resolver::Compiled, source::Bundle,
};
use crate::primitives::contract::Catalogue;

/// What the checks of every file know.
pub(super) struct Known<'a> {
    pub engine: &'a Engine,
    pub bundle: &'a Bundle,
    pub compiled: &'a Compiled,
    /// Files of the bundle that cannot be parsed: told of elsewhere.
    pub unread: &'a [String],
    pub catalogue: &'a Catalogue,
    /// Names of the parameters, where the header could be read; with the line of each.
    pub params: Option<&'a BTreeMap<String, Place>>,
    /// Nothing is wrong with the header, so that what it defines and nobody needs may be told.
    pub header_fits: bool,
    /// Steps that had another name before, by that name.
    pub renamed: &'a BTreeMap<String, String>,
    pub site: &'a [&'a str],
    /// The main file has tests in it, and is no runbook.
    pub tests: bool,
}

/// What was found, with what was counted on the way.
pub(super) struct Checked {
    pub findings: Vec<Finding>,
    /// Calls of primitives in the files that the runbook uses.
    pub calls: usize,
}

/// One file at work.
struct Check<'a> {
    known: &'a Known<'a>,
    file: &'a File,
    callable: Functions,
    /// File by the name that it is imported under.
    imports: BTreeMap<String, String>,
    /// Keys of the maps in this file: under one of them a function may lie, to be called like a method.
    keys: BTreeSet<&'a str>,
    steps: BTreeSet<String>,
    graph: &'a mut Graph,
    findings: Vec<Finding>,
    calls: usize,
    /// Tests of this file by name, each with whether something is expected in it, as far as can be told.
    tested: BTreeMap<String, (Position, bool)>,
}

/// All that is to be said, file by file, in the order of the text.
pub(super) fn check(known: &Known<'_>) -> Checked {
    let mut checked = Checked { findings: Vec::new(), calls: 0 };
    let used = imports::used(known.bundle, known.compiled);
    let files: Vec<_> =
        used.iter().filter_map(|name| Some(File::read(name, known.compiled.get(name)?))).collect();
    let mut graph = Graph::default();
    let mut found: BTreeMap<&str, Vec<Finding>> = BTreeMap::new();
    for file in &files {
        let ast = &known.compiled[&file.name];
        let mut check = Check {
            known,
            file,
            callable: super::names::callable(known.engine, ast),
            imports: imports::of(ast),
            keys: BTreeSet::new(),
            steps: BTreeSet::new(),
            graph: &mut graph,
            findings: Vec::new(),
            calls: 0,
            tested: BTreeMap::new(),
        };
        let mut keys = names::Keys(BTreeSet::new());
        file.walk(&mut keys);
        check.keys = keys.0;
        check.shadows(ast);
        check.functions();
        if check.is_main() {
            check.renames(ast);
        }
        if check.is_hooks() {
            let steps = all_steps(known.bundle, known.compiled);
            let problems = hooks::check(&file.name, ast, &steps, known.renamed);
            check.findings.extend(problems.into_iter().map(Finding::error));
        }
        check.top_of_tests();
        file.walk(&mut check);
        check.expecting();
        checked.calls += check.calls;
        found.insert(&file.name, check.findings);
    }
    for finding in graph.findings(known).into_iter().chain(imports::circles(known, &used)) {
        let file = finding.what.places.first().map_or("", |place| place.file.as_str());
        if let Some(findings) = found.get_mut(file) {
            findings.push(finding);
        }
    }
    for file in &files {
        let mut findings = found.remove(file.name.as_str()).unwrap_or_default();
        if let Some(text) = known.bundle.text(&file.name) {
            traps::doc_comments(&file.name, text, &mut findings);
        }
        findings.sort_by_key(|finding| finding.what.places.first().map(|place| (place.line, place.column)));
        findings.dedup();
        checked.findings.append(&mut findings);
    }
    checked
}

/// Names of literal steps, in the order of the text.
pub(super) fn steps(ast: &AST) -> Vec<String> {
    let mut found = blocks::Steps(Vec::new());
    File::read("", ast).walk(&mut found);
    found.0
}

/// Functions that some function of a file calls, by name or like a method, or hands on by name.
pub(super) fn called(ast: &AST) -> BTreeSet<String> {
    let mut found = names::Called(BTreeSet::new());
    File::read("", ast).walk(&mut found);
    found.0
}

/// Names of all literal steps that a runbook may come to, those of its library included; a site's hooks have none.
pub(super) fn all_steps(bundle: &Bundle, compiled: &Compiled) -> Vec<String> {
    let is_hooks = |file: &String| bundle.hooks.as_ref().is_some_and(|hooks| hooks.name == *file);
    let files = imports::used(bundle, compiled).into_iter().filter(|file| !is_hooks(file));
    let mut found: Vec<String> = Vec::new();
    for step in files.filter_map(|file| compiled.get(&file)).flat_map(steps) {
        if !found.contains(&step) {
            found.push(step);
        }
    }
    found
}

/// The value of the constant `RUNBOOK`, as it is written.
pub(super) fn header(ast: &AST) -> Option<(&Expr, Position)> {
    header_of(ast.statements())
}

fn header_of(statements: &[Stmt]) -> Option<(&Expr, Position)> {
    statements.iter().find_map(|statement| match statement {
        Stmt::Var(variable, flags, position)
            if variable.0.name == "RUNBOOK" && flags.contains(ASTFlags::CONSTANT) =>
        {
            Some((&variable.1, *position))
        }
        _ => None,
    })
}

impl Check<'_> {
    fn error(&mut self, error: ScriptError, position: Position) {
        let error = self.placed(error, position);
        self.findings.push(Finding::error(error));
    }

    fn warning(&mut self, error: ScriptError, position: Position) {
        let error = self.placed(error, position);
        self.findings.push(Finding::warning(error));
    }

    fn placed(&self, error: ScriptError, position: Position) -> ScriptError {
        match place(&self.file.name, position) {
            Some(place) => error.at(place),
            None => error.at(Place { file: self.file.name.clone(), line: 1, column: 1 }),
        }
    }

    /// Where a call stands, for what can only be told once all files are known.
    fn site(&self, position: Position, around: &Around<'_>) -> Site {
        Site {
            file: self.file.name.clone(),
            function: around.function.map(|function| function.name.clone()),
            position,
            in_step: around.in_step(),
        }
    }

    fn is_hooks(&self) -> bool {
        self.known.bundle.hooks.as_ref().is_some_and(|hooks| hooks.name == self.file.name)
    }

    fn is_tests(&self) -> bool {
        self.known.tests && self.is_main()
    }

    fn is_main(&self) -> bool {
        self.file.name == self.known.bundle.main.name
    }
}

impl<'a> Visit<'a> for Check<'a> {
    fn node(&mut self, node: Node<'a>, around: &Around<'a>) {
        self.call(node, around);
        self.own_block(node, around);
        self.of_test(node, around);
        self.outcome(node, around);
        self.trap(node, around);
        if let Node::Stmt(Stmt::Import(import, position)) = node {
            self.import(&import.0, *position);
        }
    }

    fn block(&mut self, statements: &'a [Stmt], _: &Around<'a>) {
        self.unreachable(statements);
    }

    fn named(&mut self, name: &Name<'a>, around: &Around<'a>) {
        self.shadowing(name, around);
    }

    fn gone(&mut self, name: &Name<'a>, around: &Around<'a>) {
        self.unused(name, around);
    }
}

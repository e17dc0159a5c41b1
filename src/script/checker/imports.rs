//! Which files a runbook uses, and whether they can be found.

use std::collections::BTreeMap;

use rhai::{AST, Expr, Position, Stmt};

use super::{Check, Known};
use crate::{
    primitives::contract::suggest,
    script::{error::ScriptError, finding::Finding, outcome::place, resolver::Compiled, source::Bundle},
};

/// The main file, the hooks and what they import, directly or not: files that nobody imports are not judged.
pub(super) fn used(bundle: &Bundle, compiled: &Compiled) -> Vec<String> {
    let mut found = vec![bundle.main.name.clone()];
    found.extend(bundle.hooks.iter().map(|hooks| hooks.name.clone()));
    let mut at = 0;
    while let Some(file) = found.get(at).cloned() {
        at += 1;
        let Some(ast) = compiled.get(&file) else { continue };
        for import in of(ast).into_values() {
            if !found.contains(&import) {
                found.push(import);
            }
        }
    }
    found
}

/// File by the name that it is imported under.
pub(super) fn of(ast: &AST) -> BTreeMap<String, String> {
    written(ast).into_iter().map(|(file, alias, _)| (alias, file)).collect()
}

fn written(ast: &AST) -> Vec<(String, String, Position)> {
    let mut found = Vec::new();
    ast.walk(&mut |path: &[rhai::ASTNode<'_>]| {
        if let Some(rhai::ASTNode::Stmt(Stmt::Import(import, _))) = path.last()
            && let Expr::StringConstant(file, position) = &import.0
        {
            let alias = if import.1.name.is_empty() { file.as_str() } else { import.1.name.as_str() };
            found.push((file.to_string(), alias.to_owned(), *position));
        }
        true
    });
    found
}

/// Imports that lead back to where they began, each told where the circle closes.
pub(super) fn circles(known: &Known<'_>, used: &[String]) -> Vec<Finding> {
    let mut way = Vec::new();
    let mut found = Vec::new();
    let mut seen = Vec::new();
    for file in used {
        follow(known, file, &mut way, &mut seen, &mut found);
    }
    found
}

fn follow(
    known: &Known<'_>,
    file: &str,
    way: &mut Vec<String>,
    seen: &mut Vec<String>,
    found: &mut Vec<Finding>,
) {
    let Some(ast) = known.compiled.get(file).filter(|_| !seen.iter().any(|name| name == file)) else {
        return;
    };
    seen.push(file.to_owned());
    way.push(file.to_owned());
    for (import, _, position) in written(ast) {
        match way.iter().position(|name| *name == import) {
            Some(begins) => {
                let circle = [&way[begins..], std::slice::from_ref(&import)].concat().join(" -> ");
                let error =
                    ScriptError::new("import_circle", format!("the imports go in a circle: {circle}"))
                        .hint("move what both files need into a third one");
                found.push(Finding::error(match place(file, position) {
                    Some(place) => error.at(place),
                    None => error,
                }));
            }
            None => follow(known, &import, way, seen, found),
        }
    }
    way.pop();
}

impl Check<'_> {
    pub(super) fn import(&mut self, file: &Expr, position: Position) {
        const PLAIN: &str = "name a file of the same folder, or one that ships with uplift: `import \"lib/checks\" as checks;`";
        let Expr::StringConstant(name, at) = file else {
            let error = ScriptError::new("computed_import", "the name of an import must be written out");
            return self.error(error.hint("e.g. `import \"lib/checks\" as checks;`"), position);
        };
        if self.known.compiled.contains_key(name.as_str())
            || self.known.unread.iter().any(|unread| name == unread)
        {
            return;
        }
        if let Some(plain) = name.strip_suffix(".rhai") {
            let error = ScriptError::new("no_such_module", format!("there is no file `{name}` to import"));
            return self.error(error.hint(format!("leave `.rhai` out: `import \"{plain}\"`")), *at);
        }
        if name.starts_with('/') || name.split('/').any(|part| part == ".." || part == ".") {
            let text = format!("`{name}` cannot be imported: an import leads to no other folder");
            return self.error(ScriptError::new("no_such_module", text).hint(PLAIN), *at);
        }
        let known: Vec<_> = self.known.compiled.keys().map(String::as_str).collect();
        let known: Vec<_> = known.into_iter().filter(|known| *known != self.file.name).collect();
        let text = format!("there is no file `{name}` to import");
        self.error(ScriptError::new("no_such_module", text).hint(suggest(name, &known)), *at);
    }
}

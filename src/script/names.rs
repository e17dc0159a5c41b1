//! Which names a script may call and which it may not take.

use std::collections::{BTreeMap, BTreeSet};

use rhai::{AST, Engine};

use super::{engine::OWN, resolver::Compiled, syntax::KEYWORDS};
use crate::primitives::contract::Catalogue;

/// Names of functions with the numbers of arguments that each takes.
pub(super) type Functions = BTreeMap<String, BTreeSet<usize>>;

/// Values that a closure may be given; no more than anybody would write.
const MOST: usize = 16;

/// Everything that a file can call without a namespace: the engine's, the host's, its own.
pub(super) fn callable(engine: &Engine, ast: &AST) -> Functions {
    let mut known = Functions::new();
    let native = engine.collect_fn_metadata(
        None,
        |info| Some((info.metadata.name.to_string(), info.metadata.num_params)),
        true,
    );
    for (name, parameters) in native {
        known.entry(name).or_default().insert(parameters);
    }
    // Functions of the language itself, which no package lists.
    for (name, parameters) in [("print", 1), ("type_of", 1), ("is_def_fn", 2), ("is_def_var", 1), ("Fn", 1)] {
        known.entry(name.to_owned()).or_default().insert(parameters);
    }
    // How many depends on the closure. `curry` is what the language makes of one that uses a value from around it.
    for name in ["call", "curry"] {
        known.entry(name.to_owned()).or_default().extend(0..=MOST);
    }
    for (name, parameters) in own(ast) {
        known.entry(name).or_default().insert(parameters);
    }
    known
}

/// The functions that a file defines.
pub(super) fn own(ast: &AST) -> Vec<(String, usize)> {
    ast.iter_functions()
        .filter(|function| !function.name.starts_with("anon$"))
        .map(|function| (function.name.to_owned(), function.params.len()))
        .collect()
}

/// The functions that a file's importers see.
pub(super) fn public(compiled: &Compiled, file: &str) -> Option<Functions> {
    let ast = compiled.get(file)?;
    let mut found = Functions::new();
    for function in ast.iter_functions().filter(|function| !function.access.is_private()) {
        if !function.name.starts_with("anon$") {
            found.entry(function.name.to_owned()).or_default().insert(function.params.len());
        }
    }
    Some(found)
}

/// Names that belong to the host. A script function of such a name would be called instead of the primitive, also
/// from inside files that know nothing of it (rhai looks there first), so none may exist in any file.
pub(super) fn taken(catalogue: &Catalogue, name: &str) -> bool {
    catalogue.get(name).is_some() || OWN.contains(&name) || KEYWORDS.contains(&name)
}

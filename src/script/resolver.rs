//! Imports: only files of the bundle, by plain names, each compiled once and checked for names that it may not take.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use rhai::{AST, Engine, EvalAltResult, Module, ModuleResolver, Position, Scope, Shared};

use super::source::Bundle;

/// Compiled files by name. Shared with the checker, so that every file is parsed once.
pub(super) type Compiled = BTreeMap<String, AST>;

pub(super) struct Imports {
    compiled: Compiled,
    loading: Arc<Mutex<Vec<String>>>,
}

impl Imports {
    pub(super) fn new(compiled: Compiled) -> Self {
        Self { compiled, loading: Arc::default() }
    }
}

impl ModuleResolver for Imports {
    fn resolve(
        &self,
        engine: &Engine,
        _source: Option<&str>,
        path: &str,
        position: Position,
    ) -> Result<Shared<Module>, Box<EvalAltResult>> {
        let wrong = |what: String| {
            let inner = Box::new(EvalAltResult::ErrorRuntime(what.into(), position));
            Box::new(EvalAltResult::ErrorInModule(path.to_owned(), inner, position))
        };
        let Some(ast) = self.compiled.get(path) else {
            return Err(wrong(format!("there is no file `{path}`")));
        };
        {
            let mut loading = self.loading.lock().unwrap_or_else(PoisonError::into_inner);
            if loading.iter().any(|name| name == path) {
                loading.push(path.to_owned());
                return Err(wrong(format!("the imports go in a circle: {}", loading.join(" -> "))));
            }
            loading.push(path.to_owned());
        }
        let module = Module::eval_ast_as_new(Scope::new(), ast, engine);
        self.loading.lock().unwrap_or_else(PoisonError::into_inner).pop();
        module.map(Shared::new)
    }

    fn resolve_ast(
        &self,
        _engine: &Engine,
        _source: Option<&str>,
        path: &str,
        _position: Position,
    ) -> Option<Result<AST, Box<EvalAltResult>>> {
        self.compiled.get(path).cloned().map(Ok)
    }
}

/// Compiles every file of a bundle; with those that could be read, the first error of each other.
pub(super) fn compile(engine: &Engine, bundle: &Bundle) -> (Compiled, Vec<super::ScriptError>) {
    let mut compiled = Compiled::new();
    let mut errors = Vec::new();
    for source in bundle.sources() {
        match engine.compile(&source.text) {
            Ok(mut ast) => {
                ast.set_source(source.name.as_str());
                compiled.insert(source.name.clone(), ast);
            }
            Err(error) => errors.push(super::parse::parse_error(&error, source)),
        }
    }
    (compiled, errors)
}

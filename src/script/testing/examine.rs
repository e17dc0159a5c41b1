use rhai::{AST, Expr, Stmt};
use serde::Serialize;
use serde_json::json;

use crate::{
    primitives::contract::Catalogue,
    script::{
        checker::{self, Known},
        conduct::Place,
        examine::{Opened, opened},
        finding::Finding,
        source::Bundle,
    },
};

/// A named block of a test file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Block {
    pub name: String,
    pub line: usize,
    pub column: usize,
}

/// A test file that passed the checks, with all that it imports.
#[derive(Debug, Clone)]
pub struct Tests {
    bundle: Bundle,
    blocks: Vec<Block>,
}

impl Tests {
    #[must_use]
    pub fn name(&self) -> &str {
        &self.bundle.main.name
    }

    /// Leaves only the tests whose names `fits` is true of.
    pub fn retain(&mut self, fits: impl Fn(&str) -> bool) {
        self.blocks.retain(|block| fits(&block.name));
    }

    #[must_use]
    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// Where a test stands.
    pub(super) fn place(&self, name: &str) -> Option<Place> {
        let block = self.blocks.iter().find(|block| block.name == name)?;
        Some(Place { file: self.name().to_owned(), line: block.line, column: block.column })
    }

    /// In the order of the text.
    #[must_use]
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }
}

/// All that can be said of a test file before any of it runs.
#[derive(Debug)]
pub struct ExaminedTests {
    /// `None` if there is an error among the findings.
    pub tests: Option<Tests>,
    /// File by file, in the order of the text.
    pub findings: Vec<Finding>,
    /// The blocks that are written in it, whatever is wrong with them.
    pub blocks: Vec<Block>,
}

/// Whether a text has tests in it, and is no runbook.
#[must_use]
pub fn holds_tests(text: &str) -> bool {
    let begins = |words: &str| text.lines().any(|line| line.trim_start().starts_with(words));
    begins("test \"") && !begins("const RUNBOOK")
}

/// Parses and checks a test file without running any of it.
#[must_use]
pub fn examine_tests(bundle: Bundle, catalogue: &Catalogue) -> ExaminedTests {
    let refused = |errors: Vec<_>| ExaminedTests {
        tests: None,
        findings: errors.into_iter().map(Finding::error).collect(),
        blocks: Vec::new(),
    };
    let Opened { engine, compiled, unread } = match opened(&bundle, catalogue, &json!({}), true) {
        Ok(opened) => opened,
        Err(errors) => return refused(errors),
    };
    let names: Vec<_> =
        unread.iter().flat_map(|error| &error.places).map(|place| place.file.clone()).collect();
    let Some(main) = compiled.get(&bundle.main.name) else { return refused(unread) };
    let blocks = blocks(main);
    let known = Known {
        engine: &engine,
        bundle: &bundle,
        compiled: &compiled,
        unread: &names,
        catalogue,
        params: None,
        header_fits: false,
        renamed: &std::collections::BTreeMap::new(),
        site: &[],
        tests: true,
    };
    let mut findings: Vec<_> = unread.into_iter().map(Finding::error).collect();
    findings.extend(checker::check(&known).findings);
    let fit = !findings.iter().any(Finding::is_error);
    let tests = fit.then(|| Tests { bundle, blocks: blocks.clone() });
    ExaminedTests { tests, findings, blocks }
}

fn blocks(main: &AST) -> Vec<Block> {
    let block = |statement: &Stmt| {
        let Stmt::Expr(expr) = statement else { return None };
        let (name, position) = named(expr)?;
        let (line, column) = (position.line().unwrap_or(1), position.position().unwrap_or(1));
        Some(Block { name: name.to_owned(), line, column })
    };
    main.statements().iter().filter_map(block).collect()
}

/// The name of a test, and where it stands, if this is one.
fn named(expr: &Expr) -> Option<(&str, rhai::Position)> {
    match expr {
        Expr::Custom(custom, _) if custom.tokens.first().is_some_and(|word| word == "test") => {
            match custom.inputs.first()? {
                Expr::StringConstant(name, position) => Some((name.as_str(), *position)),
                _ => None,
            }
        }
        _ => None,
    }
}

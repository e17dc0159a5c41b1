//! The Rhai engine as a host for runbooks: hardened, with steps, and no way out but [`Conduct`].

mod checker;
mod conduct;
mod earlier;
mod engine;
mod error;
mod examine;
mod finding;
mod header;
mod hidden;
mod hooks;
mod limits;
mod names;
mod order;
mod outcome;
mod parse;
mod perform;
mod read_header;
mod resolver;
mod runbook;
mod session;
mod source;
mod syntax;
mod testing;
mod unknown;
mod value;

pub use conduct::{Answer, Asked, Budget, Conduct, Place, Stop};
pub use error::ScriptError;
pub use examine::{Examined, examine};
pub use finding::{Finding, Severity};
pub use header::{API, Header, OnFailure, Param, ParamType};
pub use hooks::{Hook, Part};
pub use perform::perform;
pub use runbook::Runbook;
pub use source::{Bundle, Source};
pub use testing::{
    Bench, Block, ExaminedTests, TestCall, TestWord, Tested, Tests, WordKind, examine_tests, holds_tests,
    perform_test, test_words,
};

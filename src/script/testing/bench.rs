use std::sync::Arc;

use serde_json::Value;

use crate::{
    event::Failure,
    script::conduct::{Answer, Asked, Conduct, Place, Stop},
};

/// One thing that a test asks of the bench that it runs on.
#[derive(Debug, Clone, PartialEq)]
pub struct TestCall {
    /// One of [`super::test_words`]: a function, or what stands behind a site and a dot.
    pub name: &'static str,
    /// The simulated site that is asked, by its number; `None` for the one that is to be made.
    pub site: Option<usize>,
    /// What stands in the brackets.
    pub given: Vec<Value>,
}

/// What a test calls out to.
pub trait Bench: Send + Sync {
    /// From the test's own thread; blocks until it is answered. `simulated` is answered with the number of the new site.
    fn ask(&self, call: TestCall) -> Result<Value, Failure>;

    /// `print(...)` in a test.
    fn print(&self, text: &str);

    /// Asked at the end of a test that has passed: what it has prepared, and what did not come to pass.
    fn unmet(&self) -> Option<Failure>;

    /// Asked every few microseconds while a test runs: true ends it at once.
    fn cancelled(&self) -> bool;
}

/// A test runs no steps and calls nothing that runbooks call: those have conductors of their own.
pub(super) struct OfTest(pub(super) Arc<dyn Bench>);

impl Conduct for OfTest {
    fn call(&self, asked: Asked) -> Result<Answer, Stop> {
        Err(Stop::Failed(not_in_tests(asked.verb)))
    }

    fn together(&self, asked: Vec<Asked>) -> Result<Vec<Answer>, Stop> {
        Err(Stop::Failed(not_in_tests(asked.first().map_or("together", |asked| asked.verb))))
    }

    fn step_started(&self, _: &str) {}

    fn step_ended(&self, _: &str, _: bool) {}

    fn print(&self, text: &str, _: Place) {
        self.0.print(text);
    }

    fn cancelled(&self) -> bool {
        self.0.cancelled()
    }
}

/// The way of a test to what a runbook does.
pub(in crate::script) const LET_IT_RUN: &str = "a test lets a runbook do that: `site.run(\"compose/upgrade\", #{ to: \"1.1.0\" })`, and looks at what came of it";

fn not_in_tests(verb: &str) -> Failure {
    Failure::new("call_in_test", format!("`{verb}` is what runbooks call, and a test is none"))
        .hint(LET_IT_RUN)
}

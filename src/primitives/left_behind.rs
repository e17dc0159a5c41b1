//! What to do where something outside of the site cannot be taken back: a person may leave it, so that the rest goes back.

use super::contract::{Back, Left, Undone};
use crate::event::{Choice, Failure, Question};

/// The choice to leave it as it is.
const LEAVE: &str = "leave";

/// Takes `what` back by `undo`, which says what it did. Where that fails a person is asked: trying again is another
/// `rollback`, and nothing that comes later in the order back, the site's own services among it, must wait for ever for a
/// program or a service that will not.
pub(super) async fn left_or_asked(
    back: &Back<'_>,
    (what, left): (&str, Left),
    undo: impl Future<Output = Result<String, Failure>>,
) -> Result<Undone, Failure> {
    if back.decision.as_ref().is_some_and(|decision| decision.choice == LEAVE) {
        let what = format!("left as it is, because a person chose so: `{what}`");
        return Ok(Undone::Restored { what, left: vec![left] });
    }
    match undo.await {
        Ok(done) => Ok(Undone::restored(done)),
        Err(failure) => Ok(Undone::NeedsPerson { question: question(what, &failure) }),
    }
}

fn question(what: &str, failure: &Failure) -> Question {
    let again = "mend that and type `uplift rollback` without a choice: it is tried again".to_owned();
    let why = format!("it could not be taken back: {failure}");
    Question {
        address: String::new(),
        text: format!("is the rest to go back without `{what}`?"),
        found: std::iter::once(why).chain(failure.evidence.iter().cloned()).chain([again]).collect(),
        choices: vec![Choice {
            key: LEAVE.to_owned(),
            does: "leave it as it is, and take the rest back".to_owned(),
            costs: format!("what `{what}` has done stays until somebody takes it back by hand"),
            also: String::new(),
        }],
        flag: None,
    }
}

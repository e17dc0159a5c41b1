//! Variables that secrets are in.

use super::Fixture;

pub(super) async fn a_variable_that_is_not_set_is_none(fixture: &dyn Fixture) {
    let secrets = fixture.ports().variables;
    assert_eq!(secrets.variable("NO_SUCH_VARIABLE_OF_OURS"), None);
    assert_eq!(secrets.variable(""), None);
}

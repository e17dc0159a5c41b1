//! Containers of a runbook's own, on the real engine alone: for whoever changes them and cannot wait for all the rest.

use super::Real;
use crate::contract::beside;

#[tokio::test(flavor = "multi_thread")]
async fn containers_of_ones_own_behave_as_in_the_world() {
    let real = Real::start().await;
    beside::networks_are_known_by_their_names(&real).await;
    beside::a_container_of_ones_own_stays(&real).await;
    beside::a_task_says_how_it_ended(&real).await;
    beside::a_port_that_is_taken_starts_nothing(&real).await;
}

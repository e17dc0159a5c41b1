use snapbox::{Data, assert_data_eq, data::DataFormat};

use super::desk::Desk;

fn golden(name: &str, page: &str) {
    let path = format!("{}/tests/words/screens/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    assert_data_eq!(page.to_owned(), Data::read_from(path.as_ref(), Some(DataFormat::Text)).raw());
}

async fn screen(name: &str, desk: &Desk, line: &str) {
    golden(name, &desk.types(line).await.page());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_run() {
    let desk = Desk::new().answering("y");
    screen("good", &desk, "uplift upgrade --to 1.1.0").await;
    screen("good_status", &desk, "uplift status").await;
    screen("good_history", &desk, "uplift history").await;
    screen("good_show", &desk, "uplift show").await;
    screen("good_rollback", &desk, "uplift rollback").await;
    screen("good_again", &desk, "uplift upgrade --to 1.1.0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan() {
    screen("plan", &Desk::new(), "uplift upgrade --to 1.1.0 --dry-run").await;
    screen("plan_fails", &Desk::new(), "uplift upgrade --to 9.9.9 --dry-run").await;
    screen("refused_before", &Desk::new(), "uplift upgrade --to 9.9.9 -y").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_ends_at_once_is_taken_back() {
    screen("taken_back", &Desk::new(), "uplift upgrade --to 1.7.0 -y").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_is_never_healthy() {
    screen("never_healthy", &Desk::new(), "uplift upgrade --to 1.2.0 -y").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_decides() {
    let desk = Desk::new();
    screen("decide", &desk, "uplift upgrade --to 1.6.0 -y").await;
    screen("decide_status", &desk, "uplift status").await;
    screen("decide_upgrade", &desk, "uplift upgrade --to 1.1.0 -y").await;
    screen("decide_dry_run", &desk, "uplift rollback --dry-run").await;
    screen("decided", &desk, "uplift rollback --choose return-code --reason users_wait").await;
    screen("decided_history", &desk, "uplift history").await;
}

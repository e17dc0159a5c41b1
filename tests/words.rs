//! What is on the screen: complete screens of a simulated site as golden files, and the words of the command line.
//!
//! After a change of words: `SNAPSHOTS=overwrite cargo nextest run -E 'test(words)'`, and read the difference.

mod asking;
mod bundles;
mod crashed;
mod desk;
mod followed;
mod guides;
mod screens;
mod signals;
mod sites;
mod taught;
mod thousand;
mod told;
mod tried;
mod typed;

use desk::Desk;
use snapbox::{Data, assert_data_eq, data::DataFormat};

/// `page` must be the file `screens/NAME.txt`, byte for byte.
fn golden(name: &str, page: &str) {
    let path = format!("{}/tests/words/screens/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    assert_data_eq!(page.to_owned(), Data::read_from(path.as_ref(), Some(DataFormat::Text)).raw());
}

/// What is shown of a command must be the file.
async fn screen(name: &str, desk: &Desk, line: &str) {
    golden(name, &desk.types(line).await.page());
}

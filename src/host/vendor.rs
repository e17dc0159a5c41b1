//! Bundles of runbooks: what the vendor ships between two releases of uplift. Packed and signed as one file, installed on a
//! site that trusts the key, and taken before what ships with uplift.

mod bundles;
mod deviations;
mod exchange;
mod fits;
mod folder;
mod manifest;
mod pack;
mod served;
mod shelf;
mod signature;

pub(super) use manifest::Manifest;
pub(super) use pack::Pack;
pub(super) use served::{served, untold};
pub(super) use shelf::Shelf;

pub use bundles::{Bundles, Offer, Packed};
pub use signature::{KeyFile, SigningKey};

use super::layer::is_name;
use crate::event::Failure;

/// One part of a name, that leads nowhere.
fn is_plain(name: &str) -> bool {
    is_name(name) && !name.contains('/')
}

/// Whether it is no runbook: a file of the library, or a test.
fn is_room(name: &str) -> bool {
    matches!(name.split('/').next(), Some("lib" | "tests"))
}

/// Refuses a name that would lead out of a bundle, or would mean something of the site's own.
fn place_of(name: &str) -> Result<(), Failure> {
    let of_a_site = matches!(name.split('/').next(), Some("uplift" | "hooks"));
    if is_name(name) && !of_a_site && !["lib", "tests"].contains(&name) {
        return Ok(());
    }
    let text = format!("`{name}.rhai` cannot be in a bundle");
    Err(Failure::new("pack_strange", text).hint(
        "runbooks are called e.g. `compose/upgrade.rhai`, a library `lib/NAME.rhai`, tests `tests/NAME.rhai`: letters, digits, \
         `-` and `_`; `uplift/` and `hooks/` are a site's own",
    ))
}

//! What a site is: one installation being operated. Types only.

mod describe;
mod fingerprint;
mod grants;
mod notify;
mod place;
mod reference;
mod secret;
mod settings;
mod shipped;
mod trust;
mod units;

pub use describe::{Database, Databases, DeploymentPath, Endpoint, Project, Service, Site, SslMode, Storage};
pub use fingerprint::{KEYS, fingerprints};
pub use grants::Grants;
pub use notify::{Notify, Occasion};
pub use place::{
    ImageThen, Moment, NameToGive, Place, Point, SavepointThen, Sequences, Unread, Way, Written, WrittenTable,
};
pub use reference::Reference;
pub use secret::{Scrubber, Secret};
pub use settings::is_secret;
pub use shipped::{Deviations, Exchange, FileChange, FileIs, HookPlace, OwnScript, Shipped};
pub use trust::{PublicKey, key_id};
pub use units::{Size, Span};

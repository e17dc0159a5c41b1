//! The Rhai engine as a host for runbooks: hardened, with steps, and no way out but [`Conduct`].

mod conduct;

pub use conduct::{Answer, Asked, Budget, Conduct, Place, Stop};

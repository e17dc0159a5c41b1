//! Bundles of runbooks that a vendor ships: what a site takes, what it refuses, and what stays as it is.

mod damaged;
mod layers;
mod maker;
mod packed;
mod refused;
mod runs;
mod told;

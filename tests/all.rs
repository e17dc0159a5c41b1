//! One test binary, so that everything links once. Modules named after what they hold to account.

mod contract;
mod journal;
mod lab;
mod laws;
mod layers;
mod real;
mod runbooks;
mod script;
mod words;

//! The script host: what runbooks may say, what they are told when they say it wrong, and what they cannot do.

mod hooks;
mod hostile;
mod language;
mod order;
mod stage;
mod wrong;

//! The durable record: its rules, its file, its locks, and what is left of it after every kind of end.

mod back;
mod binaries;
mod child;
mod crash;
mod fence;
mod folder;
mod format;
mod full;
mod golden;
mod later;
mod lock;
mod model;
mod older;
mod read;
mod scrub;
mod story;
mod write;

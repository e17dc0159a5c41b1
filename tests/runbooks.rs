//! The stock runbooks on simulated sites, through the same door as the command line: good releases, bad releases,
//! and a fault at every single write.

mod back;
mod bundles;
mod by_hand;
mod choices;
mod crashes;
mod fits;
mod held;
mod hosts;
mod kept_plan;
mod killed;
mod layer;
mod locked;
mod matrix;
mod night;
mod notices;
mod outside;
mod paused;
mod pinned;
mod placed;
mod planned;
mod programs;
mod queries;
mod refusals;
mod requests;
mod restore;
mod retried;
mod routed;
mod stopped;
mod stories;
mod taken_up;
mod tested;
mod tested_page;
mod twice;

//! What a script may use up: time of its own, memory, nothing without an end.

#![expect(
    clippy::disallowed_methods,
    reason = "guards the interpreter itself; nothing that a script can see depends on this clock or file"
)]

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rhai::{Engine, OptimizationLevel};

use super::{conduct::Conduct, error::ScriptError};

/// Time that a script may spend on its own, calls not counted.
const TIME: Duration = Duration::from_secs(20);
/// Bytes by which the process may grow while a script runs. The engine's own limits miss maps and captured values.
const MEMORY: u64 = 256 << 20;
/// Calls of primitives in one performance: a plan and a record hold each of them.
pub(super) const CALLS: usize = 10_000;
/// Operations between two looks at clock and memory.
const EVERY: u64 = 512;
/// Bytes of a script file.
pub(super) const FILE: usize = 1 << 20;
/// Of the script's thread: what a debug build needs for the deepest nesting that the limits allow.
pub(super) const STACK: usize = 64 << 20;

/// Sets every limit, so that none depends on how rhai was built.
pub(super) fn set(engine: &mut Engine) {
    engine
        // The optimiser runs code while compiling, and has panicked on constant maps (1.25 to 1.27).
        .set_optimization_level(OptimizationLevel::None)
        .set_strict_variables(true)
        .set_fail_on_invalid_map_property(true)
        .set_max_operations(1_000_000)
        .set_max_call_levels(64)
        .set_max_expr_depths(128, 128)
        .set_max_variables(256)
        .set_max_functions(256)
        .set_max_modules(64)
        .set_max_string_size(1 << 20)
        .set_max_array_size(10_000)
        .set_max_map_size(10_000);
}

/// What `work` gives, and how long it took.
pub(super) fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let since = Instant::now();
    let done = work();
    (done, since.elapsed())
}

/// Another crate in the same program may have switched rhai's limits off.
pub(super) fn proved() -> Result<(), ScriptError> {
    let mut engine = Engine::new_raw();
    engine.set_max_operations(10);
    match engine.eval::<()>("loop { }") {
        Err(error) if matches!(*error, rhai::EvalAltResult::ErrorTooManyOperations(_)) => Ok(()),
        _ => Err(ScriptError::new(
            "unchecked",
            "rhai was built with its feature `unchecked`, without any limits",
        )
        .hint("build without that feature: runbooks are only run under limits")),
    }
}

/// Watches one performance.
pub(super) struct Watch {
    conduct: Arc<dyn Conduct>,
    since: Mutex<Instant>,
    used: Mutex<Duration>,
    memory: AtomicU64,
    over: Mutex<Option<&'static str>>,
}

impl Watch {
    pub(super) fn new(conduct: Arc<dyn Conduct>) -> Self {
        Self {
            conduct,
            since: Mutex::new(Instant::now()),
            used: Mutex::default(),
            memory: AtomicU64::new(resident()),
            over: Mutex::default(),
        }
    }

    /// Called by the engine before every operation; true ends the script.
    pub(super) fn must_end(&self, operations: u64) -> bool {
        if self.conduct.cancelled() {
            return true;
        }
        if !operations.is_multiple_of(EVERY) {
            return false;
        }
        let spent = *lock(&self.used) + lock(&self.since).elapsed();
        let over = if spent > TIME {
            Some("the script worked for more than 20 s of its own")
        } else if resident().saturating_sub(self.memory.load(Ordering::Relaxed)) > MEMORY {
            Some("the script used more than 256 MiB of memory")
        } else {
            None
        };
        if over.is_some() {
            *lock(&self.over) = over;
        }
        over.is_some()
    }

    /// Which limit ended the script, if one of ours did.
    pub(super) fn over(&self) -> Option<&'static str> {
        *lock(&self.over)
    }

    /// Work that is not the script's own: neither its time nor its memory counts.
    pub(super) fn away<T>(&self, work: impl FnOnce() -> T) -> T {
        *lock(&self.used) += lock(&self.since).elapsed();
        let before = resident();
        let result = work();
        let grown = resident().saturating_sub(before);
        self.memory.fetch_add(grown, Ordering::Relaxed);
        *lock(&self.since) = Instant::now();
        result
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Resident memory of this process in bytes; 0 where it cannot be read, which switches this guard off.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = text.split_whitespace().nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    pages * rustix::param::page_size() as u64
}

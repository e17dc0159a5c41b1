use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::event::{Event, Teller};

/// Nobody watches a rehearsal, but what it is warned of belongs into the plan. A clone is the same one.
#[derive(Clone, Default)]
pub(super) struct Warned(Arc<Mutex<Vec<String>>>);

impl Warned {
    pub(super) fn teller(&self) -> Teller {
        let warned = self.clone();
        Teller::new(Arc::new(move |event| {
            if let Event::Warning { text, .. } = event {
                let mut texts = warned.lock();
                if !texts.contains(&text) {
                    texts.push(text);
                }
            }
        }))
    }

    /// Each text once.
    pub(super) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! A rehearsal's own side of a port from outside: what would be written lies over the live port.

use std::{
    any::TypeId,
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::{Entry, Face, Outside, Port};
use crate::event::Write;

/// Where a rehearsal notes what its ports would do.
pub(crate) trait Notes: Send + Sync {
    fn wrote(&self, write: Write);
    fn assume(&self, text: String);
    fn relies_on(&self, name: String, value: String);
    fn make_up(&self, why: String);
    fn pass(&self, time: Duration);
}

/// What a rehearsal knows of one port: `S` holds what was written so far, most often with the live port under it.
///
/// An embedder implements both faces of the port for it. A way back is rehearsed on a clone of `S`, so that nothing else has
/// to be written for it. A clone of the overlay is the same one.
pub struct Overlay<S> {
    state: Arc<Mutex<S>>,
    notes: Arc<dyn Notes>,
}

impl<S> Clone for Overlay<S> {
    fn clone(&self) -> Self {
        Self { state: Arc::clone(&self.state), notes: Arc::clone(&self.notes) }
    }
}

impl<S> std::fmt::Debug for Overlay<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Overlay").finish_non_exhaustive()
    }
}

impl<S> Overlay<S> {
    /// Looks at what the rehearsal has so far. A live port that has to be waited for is taken out first
    /// (`self.look(|planned| planned.live.clone())`), and asked after that.
    pub fn look<T>(&self, at: impl FnOnce(&S) -> T) -> T {
        at(&self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// One write: the plan shows `shown`, and whoever looks from now on finds what `change` makes.
    pub fn write<T>(&self, shown: Write, change: impl FnOnce(&mut S) -> T) -> T {
        let done = change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.notes.wrote(shown);
        done
    }

    /// The plan depends on this answer of the live port: a plan whose `name` has another `value` when it is carried out is
    /// refused. For what was decided on; never for sizes, counts and times, which move by themselves.
    pub fn relies_on(&self, name: impl Into<String>, value: impl Into<String>) {
        self.notes.relies_on(name.into(), value.into());
    }

    /// The plan takes the worst case here. Say what was assumed, and what would make it certain.
    pub fn assume(&self, text: impl Into<String>) {
        self.notes.assume(text.into());
    }

    /// What is answered now cannot be known before the run: a runbook that looks at the outcome of this call ends the plan
    /// there, and `why` is what the plan says then.
    pub fn cannot_know(&self, why: impl Into<String>) {
        self.notes.make_up(why.into());
    }

    /// How long a write takes, in the rehearsal's own time: for how long services are away shows in the plan.
    pub fn takes(&self, time: Duration) {
        self.notes.pass(time);
    }
}

/// Both faces of a port, out of the overlay that they share.
type MakeFaces<P, S> = fn(Overlay<S>) -> (Arc<<P as Port>::Read>, Arc<<P as Port>::Write>);

/// What a plan works with in a port's place. Made by [`Port::rehearse`].
pub struct Rehearsed<P: Port>(Arc<dyn Rehearsal>, std::marker::PhantomData<fn() -> P>);

impl<P: Port> Rehearsed<P> {
    /// Begins with `state`, in which nothing was written; `faces` makes both faces of the port out of its overlay.
    pub fn new<S: Clone + Send + 'static>(state: S, faces: MakeFaces<P, S>) -> Self {
        Self(Arc::new(Kept::<P, S> { state: Arc::new(Mutex::new(state)), faces }), std::marker::PhantomData)
    }

    pub(super) fn erased(self) -> Arc<dyn Rehearsal> {
        self.0
    }
}

/// A port's rehearsal, its types gone.
pub(super) trait Rehearsal: Send + Sync {
    /// Another one, which begins where this one stands.
    fn fork(&self) -> Arc<dyn Rehearsal>;
    /// Reading and writing face.
    fn faces(&self, notes: Arc<dyn Notes>) -> (Face, Face);
}

struct Kept<P: Port, S> {
    state: Arc<Mutex<S>>,
    faces: MakeFaces<P, S>,
}

impl<P: Port, S: Clone + Send + 'static> Rehearsal for Kept<P, S> {
    fn fork(&self) -> Arc<dyn Rehearsal> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Arc::new(Self { state: Arc::new(Mutex::new(state)), faces: self.faces })
    }

    fn faces(&self, notes: Arc<dyn Notes>) -> (Face, Face) {
        let (read, write) = (self.faces)(Overlay { state: Arc::clone(&self.state), notes });
        (Arc::new(read), Arc::new(write))
    }
}

/// All that one rehearsal knows of ports from outside. It holds no notes, which hold it.
pub(crate) struct Overlays(HashMap<TypeId, Arc<dyn Rehearsal>>);

impl Overlays {
    /// Nothing was written over any of these.
    pub(crate) fn begin(live: &Outside) -> Self {
        let can = |(id, entry): (&TypeId, &Entry)| Some((*id, (entry.rehearse)(&entry.read)?));
        Self(live.0.iter().filter_map(can).collect())
    }

    /// The same once more, from here on.
    pub(crate) fn fork(&self) -> Self {
        Self(self.0.iter().map(|(id, one)| (*id, one.fork())).collect())
    }

    /// These ports in a rehearsal; of one that cannot be rehearsed the reading face alone.
    pub(crate) fn over(&self, live: &Outside, notes: &Arc<dyn Notes>) -> Outside {
        let ports = live.reading().0.into_iter().map(|(id, entry)| {
            let Some(one) = self.0.get(&id) else { return (id, entry) };
            let (read, write) = one.faces(Arc::clone(notes));
            (id, Entry { read, write: Some(write), ..entry })
        });
        Outside(ports.collect())
    }
}

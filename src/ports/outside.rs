use std::{
    any::{Any, TypeId},
    collections::HashMap,
    sync::Arc,
};

/// A port from outside this crate: its reading face and its writing face.
///
/// A port without a twin ends a plan at the first call that needs it, in words.
pub trait Port: 'static {
    type Read: ?Sized + Send + Sync + 'static;
    type Write: ?Sized + Send + Sync + 'static;
}

type Faces = (Arc<dyn Any + Send + Sync>, Option<Arc<dyn Any + Send + Sync>>);

/// The outside ports that an embedder brought, by type.
#[derive(Default, Clone)]
pub struct Outside(HashMap<TypeId, Faces>);

impl Outside {
    #[must_use]
    pub fn with<P: Port>(mut self, read: Arc<P::Read>, write: Arc<P::Write>) -> Self {
        self.0.insert(TypeId::of::<P>(), (Arc::new(read), Some(Arc::new(write))));
        self
    }

    /// The reading faces alone: what a plan may see.
    #[must_use]
    pub fn reading(&self) -> Self {
        Self(self.0.iter().map(|(id, (read, _))| (*id, (Arc::clone(read), None))).collect())
    }

    pub(super) fn read<P: Port>(&self) -> Option<Arc<P::Read>> {
        self.0.get(&TypeId::of::<P>())?.0.downcast_ref::<Arc<P::Read>>().cloned()
    }

    pub(super) fn write<P: Port>(&self) -> Option<Arc<P::Write>> {
        self.0.get(&TypeId::of::<P>())?.1.as_ref()?.downcast_ref::<Arc<P::Write>>().cloned()
    }
}

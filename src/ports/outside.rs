//! Ports that an embedder brings: how they are reached, and what a plan works with in their place.

mod overlay;

use std::{
    any::{Any, TypeId},
    collections::HashMap,
    sync::Arc,
};

pub(crate) use overlay::{Notes, Overlays};
pub use overlay::{Overlay, Rehearsed};

use crate::event::Failure;

/// A system outside of this crate that primitives of an embedder's own work with: its reading face and its writing face.
///
/// Both are traits, so that the real thing and one in memory can stand in for each other. A host gets them once
/// ([`crate::HostBuilder::port`]); a primitive asks for them by the port's type: [`super::Observe::port`] gives the
/// reading face, and only [`super::Operate::port`] the writing one.
///
/// A plan is a rehearsal, in which nothing may be written. So a port brings what answers in its place: [`Port::rehearse`].
/// A port without it ends every plan at the first call that would write to it, in words, and the run that follows can do
/// what no plan has shown.
///
/// ```
/// use std::{collections::BTreeSet, sync::Arc};
/// use uplift::{event::Write, ports::{Overlay, Port, Rehearsed}};
///
/// trait LampsRead: Send + Sync {
///     fn is_lit(&self, lamp: &str) -> bool;
/// }
/// trait Lamps: LampsRead {
///     fn light(&self, lamp: &str);
/// }
///
/// struct LampPost;
///
/// impl Port for LampPost {
///     const NAME: &'static str = "lamp post";
///     type Read = dyn LampsRead;
///     type Write = dyn Lamps;
///
///     fn rehearse(live: Arc<dyn LampsRead>) -> Option<Rehearsed<Self>> {
///         let nothing_yet = Planned { live, lit: BTreeSet::new() };
///         Some(Rehearsed::<Self>::new(nothing_yet, |planned| (Arc::new(planned.clone()), Arc::new(planned))))
///     }
/// }
///
/// /// The live lamps, with those that the plan has lit.
/// #[derive(Clone)]
/// struct Planned {
///     live: Arc<dyn LampsRead>,
///     lit: BTreeSet<String>,
/// }
///
/// impl LampsRead for Overlay<Planned> {
///     fn is_lit(&self, lamp: &str) -> bool {
///         self.look(|planned| planned.lit.contains(lamp) || planned.live.is_lit(lamp))
///     }
/// }
/// impl Lamps for Overlay<Planned> {
///     fn light(&self, lamp: &str) {
///         let shown = Write::outside(LampPost::NAME, format!("lights `{lamp}`"));
///         self.write(shown, |planned| planned.lit.insert(lamp.to_owned()));
///     }
/// }
/// # struct Dark;
/// # impl LampsRead for Dark { fn is_lit(&self, _: &str) -> bool { false } }
/// # impl Lamps for Dark { fn light(&self, _: &str) { panic!("a plan has written") } }
/// # let world = uplift::World::strata();
/// # let mut ports = world.ports();
/// # ports.outside = ports.outside.with::<LampPost>(Arc::new(Dark), Arc::new(Dark));
/// # let (site, tell) = (world.site(), uplift::event::Teller::silent());
/// # let twin = uplift::sim::Twin::new(&ports, &site);
/// # let planned = twin.ports();
/// # let site = planned.operate(&site, "plan", &tell);
/// # site.port::<LampPost>().unwrap().light("hall");
/// # assert!(site.observe().port::<LampPost>().unwrap().is_lit("hall"));
/// # assert_eq!(twin.take_writes(), [Write::outside("lamp post", "lights `hall`")]);
/// ```
pub trait Port: Sized + 'static {
    /// What operators read: `flag service`.
    const NAME: &'static str;
    /// All that a plan, a check or a probe may use: most often `dyn` of a trait.
    type Read: ?Sized + Send + Sync + 'static;
    /// The same with what changes something: most often `dyn` of a trait that extends the other.
    type Write: ?Sized + Send + Sync + 'static;

    /// What a plan works with in this port's place: what would be written stays in an [`Overlay`] over the `live` port, which
    /// is read and never written. `None`: nothing, and a plan ends at the first call that would write.
    fn rehearse(_live: Arc<Self::Read>) -> Option<Rehearsed<Self>> {
        None
    }
}

type Face = Arc<dyn Any + Send + Sync>;

#[derive(Clone)]
struct Entry {
    name: &'static str,
    read: Face,
    /// `None` in a rehearsal, for a port that cannot be rehearsed.
    write: Option<Face>,
    /// [`Port::rehearse`] on a reading face.
    rehearse: fn(&Face) -> Option<Arc<dyn overlay::Rehearsal>>,
}

/// The outside ports that an embedder brought, by type.
#[derive(Default, Clone)]
pub struct Outside(HashMap<TypeId, Entry>);

impl Outside {
    /// One more; it takes the place of an earlier one of the same type.
    #[must_use]
    pub fn with<P: Port>(mut self, read: Arc<P::Read>, write: Arc<P::Write>) -> Self {
        let entry = Entry {
            name: P::NAME,
            read: Arc::new(read),
            write: Some(Arc::new(write)),
            rehearse: |read| Some(P::rehearse(Arc::clone(read.downcast_ref::<Arc<P::Read>>()?))?.erased()),
        };
        self.0.insert(TypeId::of::<P>(), entry);
        self
    }

    /// Those of both; the others take the places of earlier ones of the same type.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    /// The reading faces alone: what a plan may see of the live ports.
    #[must_use]
    pub fn reading(&self) -> Self {
        Self(self.0.iter().map(|(id, entry)| (*id, Entry { write: None, ..entry.clone() })).collect())
    }

    pub(super) fn read<P: Port>(&self) -> Result<Arc<P::Read>, Failure> {
        let read = self.0.get(&TypeId::of::<P>()).and_then(|entry| entry.read.downcast_ref::<Arc<P::Read>>());
        read.cloned().ok_or_else(|| missing(P::NAME))
    }

    pub(super) fn write<P: Port>(&self) -> Result<Arc<P::Write>, Failure> {
        let entry = self.0.get(&TypeId::of::<P>()).ok_or_else(|| missing(P::NAME))?;
        let write = entry.write.as_ref().and_then(|write| write.downcast_ref::<Arc<P::Write>>());
        write.cloned().ok_or_else(|| not_rehearsed(entry.name))
    }
}

fn missing(name: &str) -> Failure {
    Failure::new("port_missing", format!("this program brings no {name}"))
        .hint("the program that opens the host adds it: `.port::<P>(read, write)` before `.open()`")
}

/// Whether this is why a plan goes no further, and nothing that would go wrong.
pub(crate) fn ends_a_plan(failure: &Failure) -> bool {
    failure.code == "port_not_rehearsed"
}

fn not_rehearsed(name: &str) -> Failure {
    let text = format!(
        "what the {name} does is known once it is done: this program brings nothing to rehearse it with"
    );
    Failure::new("port_not_rehearsed", text)
        .hint("its `Port::rehearse` makes a plan go on from here; look at `examples/own_primitive.rs`")
}

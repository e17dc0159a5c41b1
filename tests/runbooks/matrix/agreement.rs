//! What a plan has said of a flow, and whether each run of the flow keeps to it.

use std::cmp::Ordering;

use uplift::{
    Ending, Failure, Plan,
    event::Question,
    journal::{Entry, Folder, Kind, Reader, State},
};

use super::{super::night::Night, trial::Stand};

/// What is asked about data.
const ABOUT_DATA: [&str; 2] = ["restore-data", "return-code"];

/// Reads that a plan can only guess, because what they look at is not there yet, and what it says of that. A run that finds
/// something else leaves the plan there. The image that is to be pulled:
const GUESSED: [(&str, &str); 2] = [
    ("/pending_migrations#", "is known once its image is on this host"),
    // The returned queue lets nobody in before it is in its place.
    ("/returned_jobs#", "is known once it is there"),
];

pub(super) struct Agreement {
    plan: Plan,
    /// All calls, in order.
    addresses: Vec<String>,
    /// The effect from which on a person is asked before anything goes back.
    asks_from: Option<String>,
}

impl Agreement {
    pub(super) fn of(plan: Plan) -> Self {
        Self {
            addresses: plan.addresses().into_iter().map(str::to_owned).collect(),
            asks_from: plan.going_back.as_ref().and_then(|back| back.asks_from.clone()),
            plan,
        }
    }

    /// For readers.
    pub(super) fn words(&self) -> String {
        let from = self.asks_from.as_ref();
        from.map_or_else(|| "nobody is asked".to_owned(), |from| format!("a person is asked from {from} on"))
    }

    /// Whether the run that has ended so did what was planned, and asks where that was planned. Something went `wrong` at
    /// this effect, or in the release itself; `before` is the site as it was.
    pub(super) fn holds(
        &self,
        (night, before): (&Night, &Stand),
        ending: &Ending,
        wrong: &str,
    ) -> Result<(), String> {
        let entries = newest(night);
        let called: Vec<_> = entries.iter().map(|entry| entry.address.as_str()).collect();
        let is_whole = self.did(&called, ending)?;
        if let Some(refused) = failure(ending).filter(|failure| failure.code == "not_planned") {
            return Err(format!("it did not keep to its plan: {refused}"));
        }
        let asked = ending.question().is_some_and(is_about_data);
        let from = match failure(ending) {
            // It is the release that does not work: what was done by then counts.
            Some(failure) if failure.code != "fault" => begun(&entries).unwrap_or(wrong),
            _ => wrong,
        };
        let due = match self.beside(from, &called) {
            _ if *ending == Ending::Done => false,
            None | Some(Ordering::Less) => false,
            Some(Ordering::Greater) if is_whole => true,
            // At the effect itself. What lets users in does so once it has begun, whichever of its writes is done, and by
            // then other schemas are in their places. A trial without a savepoint is asked about only if it has come to
            // migrate: before that there is nothing to choose. And a run that has left its plan has found less to migrate.
            Some(_) => Stand::of(night).schemas() != before.schemas(),
        };
        if asked == due {
            return Ok(());
        }
        let told = if asked { "a person is asked about data" } else { "nobody is asked about data" };
        Err(format!("{told} after `{from}`, and the plan said: {}: {ending:?}", self.words()))
    }

    /// Whether all that was called was planned, in this order, and all of it is done if the run is; an error if that is not
    /// so, and the plan has not said that it guessed.
    fn did(&self, called: &[&str], ending: &Ending) -> Result<bool, String> {
        let same = called.iter().zip(&self.addresses).take_while(|(called, planned)| *called == planned);
        let same = same.count();
        if same == called.len() && (*ending != Ending::Done || same == self.addresses.len()) {
            return Ok(true);
        }
        let guessed = |(read, why): &(&str, &str)| {
            called[..same].iter().any(|address| address.contains(read))
                && self.caveats().any(|text| text.contains(why))
        };
        if GUESSED.iter().any(guessed) {
            return Ok(false);
        }
        Err(format!("planned was {:?}, and called {called:?}", self.addresses))
    }

    /// What the plan says that it does not know.
    fn caveats(&self) -> impl Iterator<Item = &String> {
        let calls = self.plan.steps.iter().flat_map(|step| &step.calls);
        calls.flat_map(|call| &call.assumed).chain(&self.plan.notes)
    }

    /// Where this effect stands beside the one from which on a person is asked.
    fn beside(&self, effect: &str, called: &[&str]) -> Option<Ordering> {
        let at = |wanted: &str| called.iter().position(|address| *address == wanted);
        let Some(asks_from) = at(self.asks_from.as_deref()?) else { return Some(Ordering::Less) };
        Some(at(effect)?.cmp(&asks_from))
    }
}

fn is_about_data(question: &Question) -> bool {
    question.choices.iter().any(|choice| ABOUT_DATA.contains(&choice.key.as_str()))
}

/// Why it did not come to its end, where that is known.
fn failure(ending: &Ending) -> Option<&Failure> {
    match ending {
        Ending::Refused { failure } | Ending::TakenBack { failure, .. } => Some(failure),
        Ending::NeedsPerson { failure, .. } => failure.as_ref(),
        Ending::Stuck { cause, .. } | Ending::Unfinished { cause, .. } => cause.as_ref(),
        _ => None,
    }
}

/// The calls of the newest run, by the journal alone.
fn newest(night: &Night) -> Vec<Entry> {
    let reader = Folder::find(&night.folder()).and_then(|folder| Reader::open(&folder).unwrap());
    let Some(reader) = reader else { return Vec::new() };
    let newest = reader.newest(1).unwrap().pop();
    newest.map(|run| reader.entries(&run.id).unwrap()).unwrap_or_default()
}

/// The last effect that was begun.
fn begun(entries: &[Entry]) -> Option<&str> {
    let begun = |entry: &&Entry| entry.kind == Kind::Effect && entry.state != State::Refused;
    entries.iter().rfind(begun).map(|entry| entry.address.as_str())
}

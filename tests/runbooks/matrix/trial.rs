//! One flow: how it goes where nothing goes wrong, and what becomes of it where something does.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use uplift::sim::{Fault, Picture, PictureFile};

use super::{
    super::night::{Night, Told},
    agreement::Agreement,
    ends::{Ends, Word},
    flows::{Flow, RUN},
    judge::{Judge, Origin},
    seen::{Effect, Recorder, Snap, Start, Write, effects, forget, open_run, runs},
};

const VOLUMES: &str = "/var/lib/docker/volumes";
/// The name of a run, a digit for each digit; in the names of databases its parts stand between other signs.
const RUN_NAME: &str = "00000000-000000-ffff";

fn is_run(part: &str) -> bool {
    part.len() == RUN_NAME.len()
        && part.chars().zip(RUN_NAME.chars()).all(|(sign, kind)| match kind {
            '-' => sign == '-' || sign == '_',
            '0' => sign.is_ascii_digit(),
            _ => sign.is_ascii_hexdigit(),
        })
}

/// What runs, on which data.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stand {
    picture: Picture,
    env: Option<PictureFile>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Data {
    Exact,
    /// Users have written meanwhile.
    Written,
    /// A person chose that the data stays.
    Any,
}

impl Stand {
    pub(super) fn of(night: &Night) -> Self {
        let mut picture = night.world.running();
        let env = picture.files.remove(&PathBuf::from("/srv/strata/.env"));
        Self { picture, env }
    }

    /// Uploaded files that the other has not.
    pub(super) fn leave_out_uploads_beside(&mut self, other: &Self) {
        let known = &other.picture.files;
        self.picture.files.retain(|path, _| known.contains_key(path) || !path.starts_with(VOLUMES));
    }

    /// The schema of each of the product's databases.
    pub(super) fn schemas(&self) -> BTreeMap<&str, Option<&[String]>> {
        let all = self.picture.databases.iter();
        all.map(|(name, database)| (name.as_str(), database.versions.as_deref())).collect()
    }

    fn without_rows(mut self) -> Self {
        for database in self.picture.databases.values_mut() {
            (database.tables, database.large_objects) = (Vec::new(), 0);
            (database.rows_blake3, database.jobs) = Default::default();
        }
        self
    }

    /// The lines in which it differs.
    pub(super) fn beside(&self, other: &Self) -> String {
        let lines = |one: &Self| format!("{one:#?}").lines().map(str::to_owned).collect::<Vec<_>>();
        let (now, then) = (lines(self), lines(other));
        let only = |these: &[String], those: &[String], sign: &str| {
            let only: Vec<_> = these.iter().filter(|line| !those.contains(line)).take(12).collect();
            only.iter().flat_map(|line| ["\n", sign, " ", line.trim()]).collect::<String>()
        };
        [only(&now, &then, "+"), only(&then, &now, "-")].concat()
    }

    /// Whether it is the same site, as far as its data is to be the same.
    pub(super) fn is(&self, other: &Self, data: Data) -> bool {
        match data {
            Data::Exact => self == other,
            Data::Written => self.clone().without_rows() == other.clone().without_rows(),
            Data::Any => (&self.env, &self.picture.containers) == (&other.env, &other.picture.containers),
        }
    }
}

/// How something goes wrong at a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wrong {
    FailsBefore,
    FailsAfter,
    TimesOut,
    /// The process is killed before the write, or after it. The host goes on, with its containers and with what the kernel
    /// has not synced yet: what is left where the power fails is tried in `crashes.rs`.
    Killed {
        after: bool,
    },
}

impl Wrong {
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::FailsBefore => "fails before",
            Self::FailsAfter => "fails after",
            Self::TimesOut => "times out after",
            Self::Killed { .. } => "process killed",
        }
    }

    fn fault(self) -> Option<Fault> {
        match self {
            Self::FailsBefore => Some(Fault::FailBefore),
            Self::FailsAfter => Some(Fault::FailAfter),
            Self::TimesOut => Some(Fault::TimeoutAfter),
            Self::Killed { .. } => None,
        }
    }
}

/// A flow with all that is known of it.
pub(super) struct Trial<'a> {
    flow: &'a Flow,
    night: Night,
    run: &'a str,
    start: Snap,
    pub(super) before: Stand,
    pub(super) after: Stand,
    /// Acknowledged orders that the primary had no more by then.
    pub(super) lost: u64,
    /// Users write all the time.
    pub(super) is_busy: bool,
    origin: Arc<Origin>,
    agreement: Agreement,
    /// Runs that were there before.
    runs: BTreeSet<String>,
    pub(super) ended: String,
    writes: Vec<Write>,
    pub(super) effects: Vec<Effect>,
}

impl<'a> Trial<'a> {
    /// Nothing goes wrong but what the release does.
    pub(super) async fn of(
        flow: &'a Flow,
        is_busy: bool,
        start: &Snap,
        (lane, run): (&Night, &'a str),
    ) -> Result<Self, String> {
        let night = start.lay(lane);
        let lost = night.world.lost_orders();
        let (origin, before) = (Arc::new(Origin::of(&night)), Stand::of(&night));
        let recorder = Arc::new(Recorder::of(&night));
        let judge = Arc::new(Judge::of(Arc::clone(&origin), true));
        let (records, judges) = (Arc::clone(&recorder), Arc::clone(&judge));
        night.world.watch(move |moment| {
            records.sees(moment);
            judges.sees(moment);
        });
        let runs = runs(&night);
        let (plan, told) = flow.begin(&night, run).await?;
        let agreement = Agreement::of(plan);
        agreement.holds((&night, &before), &told.ending, "the command")?;
        let (after, end) = (Stand::of(&night), Snap::of(&night));
        let writes = recorder.writes();
        let effects = effects(&writes, lane);
        let (start, ended) = (start.clone(), String::new());
        let mut trial = Self {
            flow,
            night,
            run,
            start,
            before,
            after,
            lost,
            is_busy,
            origin,
            agreement,
            runs,
            ended,
            writes,
            effects,
        };
        // The end of a good run is one that must be lawful too.
        let night = end.lay(lane);
        trial.ended = trial.ends(&judge, false).told(&night, told.ending).await?;
        Ok(trial)
    }

    fn ends<'t>(&'t self, judge: &'t Arc<Judge>, goes_back: bool) -> Ends<'t> {
        let word = Word { data: self.has_word() && !goes_back, code: false, said: false };
        Ends { trial: self, judge, word, depth: 0 }
    }

    /// What the plan says of the way back, for readers.
    pub(super) fn planned(&self) -> String {
        self.agreement.words()
    }

    pub(super) fn has_word(&self) -> bool {
        self.flow.has_word()
    }

    /// What becomes of it where `wrong` happens at this write of an effect.
    pub(super) async fn at(&self, effect: &Effect, write: usize, wrong: Wrong) -> Result<String, String> {
        let line = &self.writes[write].line;
        let what = self.tried(effect, write, wrong).await;
        what.map_err(|broken| {
            format!("{}, {} (`{line}`), {}: {broken}", self.flow.name, effect.label, wrong.words())
        })
    }

    async fn tried(&self, effect: &Effect, write: usize, wrong: Wrong) -> Result<String, String> {
        if let Wrong::Killed { after } = wrong {
            let at = if after { &self.writes[write].after } else { &self.writes[write].before };
            return self.killed(at, effect).await;
        }
        let (first, from) = match effect.start {
            Start::Anew => (0, &self.start),
            Start::Forwards { write, .. } | Start::Back { write, .. } => (write, &self.writes[write].before),
        };
        let night = from.lay(&self.night);
        forget(&night, effect.start);
        let judge = self.watched(&night);
        let fault = wrong.fault().expect("it is not killed");
        night.world.fault(write - first + 1, fault);
        let told = match effect.start {
            Start::Anew => self.flow.begin(&night, self.run).await.map(|(_, told)| told),
            Start::Forwards { .. } => {
                night.try_resume(None).await.map_err(|error| error.failure().to_string())
            }
            Start::Back { .. } => night.try_rollback(None).await.map_err(|error| error.failure().to_string()),
        };
        self.reached(&night, write, first)?;
        night.world.clear_faults();
        let ends = self.ends(&judge, effect.is_back());
        let words = match (told, effect.start) {
            (Ok(told), _) => {
                self.agrees(&night, &told, effect)?;
                ends.told(&night, told.ending).await?
            }
            (Err(code), Start::Anew) => ends.shut(&night, &code)?,
            (Err(why), _) => return Err(format!("it could not be taken up: {why}")),
        };
        Ok(words)
    }

    /// The fault was at the write that it was meant for.
    fn reached(&self, night: &Night, write: usize, first: usize) -> Result<(), String> {
        let (log, meant) = (night.world.log(), self.nameless(&self.writes[write].line));
        let at = log.get(write - first).map(|line| self.nameless(line));
        if at.as_ref() == Some(&meant) {
            return Ok(());
        }
        Err(format!("it never came to write {} (`{meant}`), but to {at:?}", write - first))
    }

    /// The line of a write without the name of the run that is tried: one that begins anew has a name of its own.
    fn nameless(&self, line: &str) -> String {
        let mut line = line.to_owned();
        let mut at = 0;
        while at < line.len() {
            let end = at + RUN_NAME.len();
            if line
                .get(at..end)
                .is_some_and(|part| is_run(part) && !self.runs.contains(&part.replace('_', "-")))
            {
                line.replace_range(at..end, RUN);
            }
            at += 1;
        }
        line
    }

    /// What has gone forwards keeps to the plan.
    fn agrees(&self, night: &Night, told: &Told, effect: &Effect) -> Result<(), String> {
        if effect.is_back() {
            return Ok(());
        }
        self.agreement.holds((night, &self.before), &told.ending, &effect.label)
    }

    pub(super) fn watched(&self, night: &Night) -> Arc<Judge> {
        let judge = Arc::new(Judge::of(Arc::clone(&self.origin), false));
        let judges = Arc::clone(&judge);
        night.world.watch(move |moment| judges.sees(moment));
        judge
    }

    /// The process is gone. The next command finds the run, and from there it ends in both directions.
    async fn killed(&self, at: &Snap, effect: &Effect) -> Result<String, String> {
        let night = at.lay(&self.night);
        if open_run(&night).is_none() {
            if effect.start != Start::Anew {
                return Err("the run is not known any more".to_owned());
            }
            let judge = self.watched(&night);
            return self.ends(&judge, false).shut(&night, "not begun");
        }
        let mut words = Vec::new();
        for on in [true, false] {
            if on && effect.is_back() {
                continue;
            }
            let night = at.lay(&self.night);
            let judge = self.watched(&night);
            let told: Told = if on { night.resume(None).await } else { night.rollback(None).await };
            self.agrees(&night, &told, effect)?;
            let ends = self.ends(&judge, !on);
            let way = if on { "resume" } else { "rollback" };
            words.push(format!("{way}: {}", ends.told(&night, told.ending).await?));
        }
        Ok(words.join("; "))
    }
}

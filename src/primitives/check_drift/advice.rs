//! What differs between containers and files, and how the two are brought together again.

use super::super::check_release::is_moving;
use crate::ports::docker::Container;

/// One difference.
pub(super) struct Differs {
    /// A sentence.
    pub(super) text: String,
    pub(super) kind: Kind,
}

pub(super) enum Kind {
    /// A container runs another image than the files ask for.
    Image {
        service: String,
        runs: String,
        id: String,
        asked: String,
    },
    /// Compose does not apply it to a container that is there.
    Policy {
        update: String,
    },
    /// There are more or fewer containers of a service than the files say.
    Count {
        service: String,
        there: u64,
    },
    /// A value that says where the data is, or with which keys it is read.
    Data,
    Other,
}

impl Differs {
    /// With what to type, where one difference alone is mended in its own way.
    pub(super) fn in_full(&self) -> String {
        match &self.kind {
            Kind::Policy { update } => {
                format!(
                    "{}, which compose does not apply to a container that is there: `{update}`",
                    self.text
                )
            }
            _ => self.text.clone(),
        }
    }

    pub(super) fn other(text: String) -> Self {
        Self { text, kind: Kind::Other }
    }

    /// By id: the same name may mean another image since the container was made.
    pub(super) fn image(container: &Container, asked: &str, is_there: bool) -> Self {
        let service = container.service().unwrap_or(&container.name).to_owned();
        let runs = if container.image == asked && !is_there {
            "it, but no image of this host has that name any more".to_owned()
        } else if container.image == asked {
            "another image of that name".to_owned()
        } else {
            format!("`{}`", container.image)
        };
        let text = format!("the files say `{asked}` and `{service}` runs {runs}");
        let (runs, id) = (container.image.clone(), container.image_id.clone());
        Self { text, kind: Kind::Image { service, runs, id, asked: asked.to_owned() } }
    }
}

/// What is known of a site that differs from its files.
pub(super) struct Drift<'a> {
    pub(super) found: &'a [Differs],
    /// Services all of whose containers run the image that the files ask for, with that image.
    pub(super) whole: &'a [(String, String)],
    /// Services that do not run.
    pub(super) stopped: &'a [String],
    /// Services that differ.
    pub(super) changed: &'a [String],
    /// How `docker compose` is called for exactly this project.
    pub(super) compose: &'a str,
}

/// What to type.
pub(super) fn what_to_type(drift: &Drift<'_>) -> String {
    let Drift { found, stopped, .. } = drift;
    let images: Vec<_> = found
        .iter()
        .filter_map(|one| match &one.kind {
            Kind::Image { service, runs, id, asked } => Some((service, runs, id, asked)),
            _ => None,
        })
        .collect();
    let policies = found.iter().any(|one| matches!(one.kind, Kind::Policy { .. }));
    let Some((_, runs, id, asked)) = images.first() else {
        return if found.iter().any(|one| matches!(one.kind, Kind::Data)) {
            elsewhere(drift)
        } else {
            apply(drift, policies)
        };
    };
    // Only of the very release that the others are asked for.
    let whole: Vec<_> = drift.whole.iter().filter(|(_, image)| tag(image) == tag(asked)).collect();
    let whole: Vec<_> = whole.into_iter().map(|(service, _)| service.clone()).collect();
    if !whole.is_empty() && images.iter().all(|(service, ..)| stopped.contains(service)) {
        // One that stands still is not to be started by the way.
        return apply(drift, policies);
    }
    if !whole.is_empty() {
        let mut services: Vec<_> = images.iter().map(|(service, ..)| service.as_str()).collect();
        services.dedup();
        return format!(
            "{} runs the release of the files and {} does not: finish what somebody has begun, `{} up -d --no-deps {}`, or \
             put the files back and do the same for the others",
            ticked(&whole),
            ticked(&services.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>()),
            drift.compose,
            services.join(" ")
        );
    }
    if runs == asked {
        return format!(
            "`docker compose up -d` would start that other image without a backup: let the name mean the image again \
             that runs, `docker tag {id} {asked}`"
        );
    }
    let (now, wanted) = (tag(runs), tag(asked));
    let back = format!("put the files back to what runs, e.g. `STRATA_VERSION={now}`");
    if is_moving(wanted) {
        return format!(
            "{back}; whoever wants another release names it in full then, e.g. `uplift upgrade --to 1.1.0`, which makes a \
             backup and knows the way back"
        );
    }
    format!(
        "{back}; whoever wants {wanted} types `uplift upgrade --to {wanted}` then, which makes a backup and knows the way \
         back"
    )
}

fn tag(reference: &str) -> &str {
    crate::ports::project::tag(reference)
}

fn ticked(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// An address or a key that was never in use is more likely a slip than a move.
fn elsewhere(drift: &Drift<'_>) -> String {
    format!(
        "put these values back as they were; whoever means to move the data, or has moved it, applies the files by hand: {}",
        commands(drift)
    )
}

/// How the files are applied.
fn apply(drift: &Drift<'_>, policies: bool) -> String {
    let policy = if policies { ", and a restart policy with its `docker update`" } else { "" };
    let policy = format!("{policy}; or {}", files(drift.found));
    let commands = commands(drift);
    if drift.stopped.is_empty() {
        return format!("apply the files, {commands}{policy}");
    }
    format!(
        "{} does not run, and a plain `docker compose up -d` would start it: apply the files without that, \
         {commands}{policy}",
        ticked(drift.stopped)
    )
}

/// What is done to the files instead.
fn files(found: &[Differs]) -> String {
    let counts = found.iter().filter_map(|one| match &one.kind {
        Kind::Count { service, there } => {
            Some(format!("let the compose file say `deploy: {{replicas: {there}}}` for `{service}`"))
        }
        _ => None,
    });
    let mut ways: Vec<_> = counts.collect();
    if ways.len() < found.len() {
        ways.push("put the files back as they were".to_owned());
    }
    ways.join(", and ")
}

/// What applies the files. What stands still may be held for a reason, and is not started by the way.
fn commands(drift: &Drift<'_>) -> String {
    let Drift { stopped, changed, compose, .. } = drift;
    if stopped.is_empty() {
        return format!("`{compose} up -d`");
    }
    let (still, running): (Vec<_>, Vec<_>) =
        changed.iter().map(String::as_str).partition(|name| stopped.iter().any(|one| one == name));
    let of = |services: &[&str], flags: &str| {
        (!services.is_empty()).then(|| format!("`{compose} up {flags} --no-deps {}`", services.join(" ")))
    };
    let both = [of(&running, "-d"), of(&still, "--no-start")];
    both.into_iter().flatten().collect::<Vec<_>>().join(" and ")
}

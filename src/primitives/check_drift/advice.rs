//! What differs between containers and files, and how the two are brought together again.

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
    /// Services that differ and do not run.
    pub(super) stopped: &'a [String],
    /// How `docker compose` is called for exactly this project.
    pub(super) compose: &'a str,
}

/// What to type.
pub(super) fn what_to_type(drift: &Drift<'_>) -> String {
    let Drift { found, stopped, compose, .. } = drift;
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
            elsewhere(compose)
        } else {
            apply(stopped, policies, compose)
        };
    };
    // Only of the very release that the others are asked for.
    let whole: Vec<_> = drift.whole.iter().filter(|(_, image)| tag(image) == tag(asked)).collect();
    let whole: Vec<_> = whole.into_iter().map(|(service, _)| service.clone()).collect();
    if !whole.is_empty() && images.iter().all(|(service, ..)| stopped.contains(service)) {
        // One that stands still is not to be started by the way.
        return apply(stopped, policies, compose);
    }
    if !whole.is_empty() {
        let mut services: Vec<_> = images.iter().map(|(service, ..)| service.as_str()).collect();
        services.dedup();
        return format!(
            "{} runs the release of the files and {} does not: finish what somebody has begun, `{compose} up -d --no-deps \
             {}`, or put the files back and do the same for the others",
            ticked(&whole),
            ticked(&services.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>()),
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
    format!(
        "put the files back to what runs, e.g. `STRATA_VERSION={now}`; whoever wants {wanted} types `uplift upgrade --to \
         {wanted}` then, which makes a backup and knows the way back"
    )
}

fn tag(reference: &str) -> &str {
    crate::ports::project::tag(reference)
}

fn ticked(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// An address or a key that was never in use is more likely a slip than a move.
fn elsewhere(compose: &str) -> String {
    format!(
        "put these values back as they were; whoever means to move the data, or has moved it, applies the files by hand: \
         `{compose} up -d`"
    )
}

/// How the files are applied. What stands still may be held for a reason, and is not started by the way.
fn apply(stopped: &[String], policies: bool, compose: &str) -> String {
    let policy = if policies {
        ", and a restart policy with its `docker update`; or put the files back as they were"
    } else {
        "; or put the files back as they were"
    };
    if stopped.is_empty() {
        return format!("apply the files, `{compose} up -d`{policy}");
    }
    format!(
        "{} does not run, and `docker compose up -d` would start it: apply the files to it without that, `{compose} up \
         --no-start --no-deps {}`, to what runs with `{compose} up -d --no-deps SERVICE`{policy}",
        ticked(stopped),
        stopped.join(" ")
    )
}

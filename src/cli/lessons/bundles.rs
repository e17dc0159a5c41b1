//! Bundles of runbooks: made by the vendor, installed on a site.

use super::{Lesson, exits};

pub(super) const LESSONS: &[Lesson] = &[
    Lesson {
        verb: &["runbook", "pack"],
        touches: "Writes one file; a bundle of the same name is replaced. No site is looked for.",
        more: &[
            "The folder has `manifest.toml`, with `name`, `version`, `api` (1), `product` (strata), `serves` (the releases that \
             it is made for, e.g. >=1.0, <2.0), `stops` (releases that no upgrade may jump over) and `summary`; runbooks by \
             the names that they are run by (compose/upgrade.rhai); and, if you like, lib/NAME.rhai and tests/NAME.rhai. All \
             of it is checked, and its tests are run on simulated sites with its own runbooks, before anything is written: \
             one that fails is not packed.",
            "Without `--key` the file is not signed, and what signs it with the program `minisign` is printed.",
        ],
        examples: &[
            ("uplift runbook pack ./patch --key minisign.key", "checked, signed, one file"),
            ("uplift runbook pack ./patch", "not signed yet; says what signs it"),
            ("uplift runbook test ./patch", "run its tests alone"),
            ("uplift runbook pack ./patch --key minisign.key --out patch.bundle", "under another name"),
        ],
        exits: exits::PACKS,
    },
    Lesson {
        verb: &["runbook", "install"],
        touches: "From the next run on, the bundle's runbooks take the places of those that ship with uplift. Shows what \
                  differs and asks first. Nothing of the site is touched, nor any run that has begun.",
        more: &[
            "The bundle must be signed by a key that `uplift.toml` names under `[trust]` (`uplift init --trust KEY`), must be \
             newer than what is installed, and must fit what the site itself changes: a hook whose step has another name \
             now is refused, with the new name. What was installed before is kept for `uplift runbook revert`.",
            "The site's own tests (`uplift/tests/`) are run with it on simulated sites, and the bundle's by this uplift; what \
             they say is shown before the question. With `-y` a bundle with which one fails is refused.",
            "An upgrade to a release that the bundle is not made for, or over one at which it says to stop, is refused when it \
             is planned.",
        ],
        examples: &[
            (
                "uplift runbook install strata-runbooks-1.2.0.bundle --dry-run",
                "what it changes; nothing is touched",
            ),
            ("uplift runbook install strata-runbooks-1.2.0.bundle", "show that, ask, install"),
            (
                "uplift runbook install https://downloads.example/strata-runbooks-1.2.0.bundle",
                "download it first",
            ),
        ],
        exits: exits::INSTALLS,
    },
    Lesson {
        verb: &["runbook", "revert"],
        touches: "From the next run on, the bundle that was installed before counts, or what ships with uplift. Shows what \
                  differs and asks first. Nothing of the site is touched, nor any run that has begun.",
        more: &[],
        examples: &[
            ("uplift runbook revert --dry-run", "what it changes; nothing is touched"),
            ("uplift runbook revert", "show that, ask, go back"),
            ("uplift runbook revert --stock", "at once to what ships with uplift"),
        ],
        exits: exits::INSTALLS,
    },
    Lesson {
        verb: &["runbook", "delta"],
        touches: "Only looks.",
        more: &[
            "Told are the bundle that is installed, the site's own runbooks and libraries (how they differ from those that \
                 ship, and whether they were copied from older ones), its hooks with file and line, and what `uplift.toml` says.",
        ],
        examples: &[
            ("uplift runbook delta", "in what this site is not as uplift ships"),
            ("uplift runbook delta -o json", "one object, for a program"),
        ],
        exits: exits::LOOKS,
    },
];

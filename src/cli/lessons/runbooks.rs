//! Of `uplift runbook` and what stands below it.

use super::{super::exits, Lesson};

pub(super) const LESSONS: &[Lesson] = &[
    Lesson {
        verb: &["runbook"],
        touches: "Touches no site: the procedures are files that can be read, copied, changed and checked.",
        more: &[],
        examples: &[
            ("uplift runbook list", "what there is"),
            ("uplift runbook show compose/upgrade", "read one"),
            ("uplift runbook eject compose/upgrade", "a copy to change, for `uplift run`"),
            ("uplift runbook check ./upgrade.rhai", "all mistakes in it, before anything runs"),
            ("uplift runbook test", "try them, and what your site changes in them, on simulated sites"),
            ("uplift runbook docs compose_up", "what a runbook can call, and with which options"),
        ],
        exits: exits::PRINTS,
    },
    Lesson {
        verb: &["runbook", "list"],
        touches: "Only prints.",
        more: &[],
        examples: &[
            ("uplift runbook list", "their names, and what each does"),
            ("uplift runbook list -o json", "with the parameters of each, for a program"),
        ],
        exits: exits::PRINTS,
    },
    Lesson {
        verb: &["runbook", "show"],
        touches: "Only prints.",
        more: &[],
        examples: &[
            ("uplift runbook show compose/upgrade", "read it"),
            ("uplift runbook eject compose/upgrade", "a copy to change, for `uplift run`"),
        ],
        exits: exits::PRINTS,
    },
    Lesson {
        verb: &["runbook", "check"],
        touches: "Only reads the files, and runs nothing of them. Every run looks its runbook through in the same way before \
                  it begins: what is an error here, is refused there; a warning stops nothing.",
        more: &["A file may import others of the same folder and below it, and those that ship with uplift."],
        examples: &[
            (
                "uplift runbook check ./upgrade.rhai",
                "all mistakes at once, each with its line and what to write",
            ),
            ("uplift runbook check uplift/tests/hooks.rhai", "a file of tests as well"),
            (
                "uplift runbook check *.rhai -o json",
                "an object per problem, then a summary: for editors and CI",
            ),
        ],
        exits: exits::CHECKS,
    },
    Lesson {
        verb: &["runbook", "test"],
        touches: "Touches nothing: each test plays on simulated sites of its own, with the site's hooks, library, runbooks, \
                  templates and grants. No program is started and nobody is asked.",
        more: &[
            "A test file has blocks: test \"the balancer is put back\" { ... }. It makes a site (simulated), lets runbooks work on it \
                 (run, plan, resume, rollback), lets things go wrong (fault), and says what must be so (expect). A site's own \
                 lie in `uplift/tests/`, those of a bundle in its `tests/`. The page `docs/testing.md` lists all that a test \
                 can say.",
        ],
        examples: &[
            (
                "uplift runbook test",
                "the site's own tests and those that ship, in the site's folder or with -C",
            ),
            ("uplift runbook test compose/upgrade", "the tests of one runbook"),
            ("uplift runbook test uplift/tests/hooks.rhai --only balancer", "some of a file"),
            ("uplift runbook test ./patch", "those of a bundle's folder, before it is packed"),
            ("uplift runbook test -o json", "an object per test, then a summary: for CI"),
        ],
        exits: exits::TESTS,
    },
    Lesson {
        verb: &["runbook", "docs"],
        touches: "Only prints; with `--definitions` it writes there.",
        more: &[
            "The definitions are read by editors that know Rhai; the grammar beside them colours `step`, `on`, `together` \
                 and `with` where an editor reads TextMate grammars.",
        ],
        examples: &[
            ("uplift runbook docs | less", "all of it: the page `docs/primitives.md`"),
            ("uplift runbook docs compose_up", "one: its options, what it gives, what undo does"),
            ("uplift runbook docs -o json", "with the schemas, an object per line, for a program"),
            ("uplift runbook docs --definitions .rhai", "for the editor, in the folder of your runbooks"),
        ],
        exits: exits::PRINTS,
    },
    Lesson {
        verb: &["runbook", "eject"],
        touches: "Writes the copy, in `lib/` beside it what it imports, and in `tests/` the tests that the stock one has to pass. \
                  A file that is there already is refused, and then nothing is written.",
        more: &[
            "The first line of each copy says what it was made from. What later uplifts mend in their own does not come \
                 into a copy by itself.",
        ],
        examples: &[
            ("uplift runbook eject compose/upgrade", "writes `./upgrade.rhai` and `./lib/checks.rhai`"),
            ("uplift runbook eject compose/upgrade /srv/strata/ours.rhai", "under a name of your own"),
            ("uplift run ./upgrade.rhai --to 1.1.0 --dry-run", "what the copy would do"),
        ],
        exits: exits::WRITES,
    },
];

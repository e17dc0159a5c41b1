//! Exit codes, for help screens and manual pages.

/// Exit codes with what each means.
pub(super) type Exits = &'static [(u8, &'static str)];

/// Of whatever may change a site.
pub(super) const CHANGES: Exits = &[
    (0, "done, or nothing needed"),
    (1, "refused or failed; nothing was changed"),
    (2, "usage, settings or runbook invalid; nothing was changed"),
    (5, "another run holds the site; nothing was changed"),
    (6, "failed, taken back and verified: the site is as before"),
    (7, "a person must decide"),
    (9, "stopped in the middle: `uplift resume` or `uplift rollback`"),
    (130, "interrupted before anything was changed"),
];

/// Of what only looks.
pub(super) const LOOKS: Exits = &[
    (0, "told"),
    (1, "what it tells of could not be read"),
    (2, "usage or settings invalid, or there is no such thing"),
    (130, "interrupted"),
];

/// Of what changes nothing of a site but which runbooks it has.
pub(super) const INSTALLS: Exits = &[
    (0, "done, or nothing needed"),
    (1, "refused; nothing was changed"),
    (2, "usage or settings invalid, or there is no such thing; nothing was changed"),
    (5, "a run is at work on the site; nothing was changed"),
    (130, "interrupted before anything was changed"),
];

pub(super) const STATUS: Exits = &[
    (0, "told, and no run waits"),
    (1, "the site could not be read"),
    (2, "usage invalid"),
    (7, "told, and a run needs a person"),
    (9, "told, and a run is unfinished"),
    (130, "interrupted"),
];

pub(super) const SHOW: Exits = &[
    (0, "told; with `--follow` also: the run is done"),
    (1, "the record could not be read; with `--follow` also: the run was refused"),
    (2, "usage invalid, or there is no such run"),
    (6, "with `--follow`: the run failed and was taken back"),
    (7, "with `--follow`: the run needs a person"),
    (9, "with `--follow`: the run stopped in the middle"),
    (130, "with `--follow`: the run was interrupted before anything was changed"),
];

pub(super) const VERIFY: Exits = &[
    (0, "proved"),
    (1, "damaged, or could not be read"),
    (2, "usage or settings invalid, or there is no such backup"),
    (130, "interrupted"),
];

pub(super) const PRINTS: Exits =
    &[(0, "printed"), (1, "could not be written"), (2, "usage invalid, or there is no such thing")];

pub(super) const CHECKS: Exits = &[
    (0, "nothing is wrong; warnings may have been told"),
    (1, "a file could not be read"),
    (2, "at least one runbook would be refused, or usage invalid"),
    (130, "interrupted"),
];

pub(super) const TESTS: Exits = &[
    (0, "at least one test was run, and all passed"),
    (1, "a test failed"),
    (2, "a file of tests is invalid, there is no such test, or usage invalid"),
    (130, "interrupted"),
];

pub(super) const PACKS: Exits = &[
    (0, "written"),
    (1, "could not be written"),
    (2, "it does not pass the checks or its own tests, or usage invalid; nothing was written"),
    (130, "interrupted"),
];

pub(super) const WRITES: Exits = &[
    (0, "written"),
    (1, "could not be written"),
    (2, "usage invalid, or there is no such thing, or a file would have been replaced"),
];

//! What each command teaches beside its flags: what it touches, and what one types. Help screens and manual pages are
//! made of it, and a test types every example.

mod bundles;
mod runbooks;

use super::exits::{self, Exits};

/// One command.
pub(super) struct Lesson {
    /// The words that are typed after `uplift`; none for `uplift` itself.
    pub(super) verb: &'static [&'static str],
    /// What it changes, and what it leaves alone.
    pub(super) touches: &'static str,
    /// Further paragraphs of its manual page.
    pub(super) more: &'static [&'static str],
    /// What is typed, and what that is for.
    pub(super) examples: &'static [(&'static str, &'static str)],
    pub(super) exits: Exits,
}

/// The lesson of the command that these words are.
pub(super) fn of(verb: &[&str]) -> Option<&'static Lesson> {
    all().find(|lesson| lesson.verb == verb)
}

pub(super) fn all() -> impl Iterator<Item = &'static Lesson> {
    LESSONS.iter().chain(runbooks::LESSONS).chain(bundles::LESSONS)
}

const LESSONS: &[Lesson] = &[
    Lesson {
        verb: &[],
        touches: "Begin with `uplift status`: it only looks. Every command that changes the site has `--dry-run`: that \
                  shows what would be done, and touches nothing.",
        more: &[
            "On a host that runs Strata under docker compose, type it in the folder with the compose file, or name that \
             folder with `-C`. What there is to know of the site is found out from its containers and files.",
            "An upgrade, a return, a restore and a backup are runs of a runbook: a file that says what is done in which \
             order, and that can be read and changed (`uplift runbook`). A run is planned before it begins, and \
             everything in it is written down before it is done, so that it can be taken back or gone on with after \
             a crash or a power cut. One run is at work on a site at a time.",
            "Without a terminal nothing is asked: what would be a question is an error that names the flag which \
             answers it. With `-o json` one object per line comes on standard output, for programs.",
        ],
        examples: &[
            ("uplift status", "how the site is, and whether a run waits for you"),
            ("uplift upgrade --to 1.1.0 --dry-run", "what an upgrade would do; nothing is touched"),
            ("uplift upgrade --to 1.1.0", "show the plan, ask, upgrade; a failure is taken back"),
            ("uplift rollback", "go back from an unfinished run, or from the last upgrade"),
            ("uplift upgrade --help", "what a command does, and its flags"),
        ],
        exits: exits::CHANGES,
    },
    Lesson {
        verb: &["upgrade"],
        touches: "Makes a backup and proves it, then stops job and web and starts them again from the new image, which \
                  may migrate the databases. Shows the plan and asks first. What fails is taken back.",
        more: &[
            "Before anything is touched it is checked that the registry has the tag, that it is a fixed one and no step \
             back, that the site is well and runs what its files say, that its databases can be dumped, and that there \
             is room.",
            "A release that changes the database is tried first where no user reaches it, after all databases were \
             copied on their server (a savepoint). If it fails there, the copies take the databases' places again and \
             nothing is lost. Once users could reach a release that has migrated, data goes back by your word only: \
             then it ends with exit code 7, and shows what each choice costs.",
        ],
        examples: &[
            ("uplift upgrade --to 1.1.0 --dry-run", "what it would do; nothing is touched"),
            ("uplift upgrade --to 1.1.0 --pull --dry-run", "the same, once its image is on this host"),
            ("uplift upgrade --to 1.1.0", "show the plan, ask, then upgrade"),
            ("uplift upgrade --to 1.1.0 --dry-run -o json > plan.json", "keep the plan"),
            ("uplift upgrade --to 1.1.0 --plan plan.json", "do what it says and nothing else"),
            ("uplift upgrade --to 1.1.0 -y -o json", "without a question, for a program"),
            ("uplift -C /srv/strata upgrade --to 1.1.0", "the site in another folder than this one"),
            (
                "uplift upgrade --to 1.1.0 --storage elsewhere",
                "uploaded files are backed up by something else",
            ),
        ],
        exits: exits::CHANGES,
    },
    Lesson {
        verb: &["resume"],
        touches: "Goes on without a question and changes what the rest of the run changes; `--dry-run` shows where. What \
                  is done already is not done again.",
        more: &[
            "The run goes on with the runbook and the values that it began with, whatever has become of the files since. \
             Where uplift died in the middle of a change, it looks whether the change was made; where that cannot be \
             told, it asks, and `--outcome` is the answer.",
        ],
        examples: &[
            ("uplift resume --dry-run", "where it would go on; nothing is touched"),
            ("uplift resume", "the unfinished run of this site"),
            ("uplift resume 20261124-031500-7f3a", "the same, by its name"),
            (
                "uplift resume --outcome applied --reason 'web runs 1.1.0, I looked'",
                "say what became of a change that uplift cannot tell",
            ),
            (
                "uplift resume --choose hold --reason 'somebody looks at the jobs tomorrow'",
                "decide what the run waits for, with a word that `uplift show` lists",
            ),
        ],
        exits: exits::CHANGES,
    },
    Lesson {
        verb: &["rollback"],
        touches: "An unfinished run: its changes are taken back, last first. A finished upgrade: web and job return to \
                  what ran before it, the databases only with `--restore-data always`; what they replace is kept. Shows \
                  what it would do and asks first; with `--choose` you have answered, and it begins.",
        more: &[
            "If the upgrade has migrated nothing, the data stays as it is. If it has, nothing is done before \
             `--restore-data` says what is to become of it: `always` lets the savepoint's databases take their places \
             again, which puts aside what users wrote since; `never` keeps the data under the old release, and is \
             refused unless `uplift.toml` says that the old release runs on it.",
            "Jobs of a returned queue may have run once already. They are listed, and `--jobs` says whether they run \
             again or whether the worker waits until you have seen them.",
        ],
        examples: &[
            ("uplift rollback --list", "from which upgrades one can return, and what it costs"),
            ("uplift rollback --dry-run", "what would be done; nothing is touched"),
            ("uplift rollback", "show it, ask, then go back"),
            (
                "uplift rollback --restore-data always --jobs hold",
                "from the last upgrade, the data with it; the worker waits until you have seen which jobs would run a \
                 second time",
            ),
            (
                "uplift rollback 20261124-031500-7f3a --choose return-code --reason 'users wait'",
                "with your decision, where that run waits for one",
            ),
        ],
        exits: exits::CHANGES,
    },
    Lesson {
        verb: &["backup"],
        touches: "Backups lie in `.uplift/backups` in the site folder, each a folder that can be copied anywhere. They \
                  only add: nothing of the site is changed. Only `prune` removes.",
        more: &[],
        examples: &[
            ("uplift backup create", "show the plan, ask, then make one while the site runs"),
            ("uplift backup list", "what there is, and what each is worth"),
            ("uplift backup verify", "prove the newest one again"),
            ("uplift backup prune --dry-run", "what is old enough to go, and why"),
        ],
        exits: exits::CHANGES,
    },
    Lesson {
        verb: &["backup", "create"],
        touches: "The site runs on, and nothing of it is changed. It counts as a backup only once all of it was read back \
                  and every row counted.",
        more: &[
            "All databases are dumped as they were at one moment. Uploaded files are compared with their rows of that \
             moment; what has not changed since the backup before is linked to it. The env file and the compose files \
             come with them, so a backup holds secrets: its folder is readable by the owner of the site folder only.",
        ],
        examples: &[
            ("uplift backup create --dry-run", "what it would take, and how much room"),
            ("uplift backup create", "show the plan, ask, then make it"),
            ("uplift -C /srv/strata backup create -y --quiet", "from cron"),
            ("uplift backup create --pin", "one that `backup prune` never removes"),
            ("uplift backup create --storage elsewhere", "uploaded files lie in object storage"),
        ],
        exits: exits::CHANGES,
    },
    Lesson {
        verb: &["backup", "list"],
        touches: "Only looks.",
        more: &[],
        examples: &[
            ("uplift backup list", "the backups of this site"),
            ("uplift backup list -o json", "one object per backup, for a program"),
        ],
        exits: exits::LOOKS,
    },
    Lesson {
        verb: &["backup", "show"],
        touches: "Only looks. A copy of a backup can be looked at on any machine, by its path.",
        more: &[],
        examples: &[
            ("uplift backup show 20261124-031500-7f3a", "by its name"),
            ("uplift backup show 7f3a", "by the end of its name"),
            ("uplift backup show /mnt/copies/20261124-031500-7f3a", "a copy, without the site"),
        ],
        exits: exits::LOOKS,
    },
    Lesson {
        verb: &["backup", "verify"],
        touches: "Changes nothing of the site; in the backup it notes when it was proved. With `--restore` it makes \
                  databases of its own on the site's server, and drops them again.",
        more: &[],
        examples: &[
            ("uplift backup verify", "the newest one"),
            ("uplift backup verify 20261124-031500-7f3a", "by its name"),
            ("uplift backup verify /mnt/copies/20261124-031500-7f3a", "a copy, on any machine"),
            ("uplift backup verify 7f3a --restore", "also load it beside the site's databases"),
        ],
        exits: exits::VERIFY,
    },
    Lesson {
        verb: &["backup", "prune"],
        touches: "What goes is gone for good; shows the plan and asks first. The newest proved backups stay, whatever is \
                  younger than 7 days, and what is pinned. Nothing that the site uses is touched.",
        more: &[
            "The newest backup that has uploaded files, and the newest with each other part, stay too. While those that \
             take its place are not whole, nothing goes. Databases that a run has kept beside the site's go when their \
             time is over; `uplift status` lists them.",
            "Copies and logs of old runs (`.uplift/kept`, `.uplift/logs`) go where nothing leads back to the run any more: it \
             ended more than 7 days ago, 20 others came after it, its backup and its databases are gone, and `uplift \
             rollback --list` does not offer it. `uplift history` and `uplift show` tell of every run for ever.",
        ],
        examples: &[
            ("uplift backup prune --dry-run", "what would go, and why; what stays, and why"),
            ("uplift backup prune", "show it, ask, then remove"),
            ("uplift backup prune -y", "from cron"),
            (
                "uplift backup prune --database strata_production__failed_20261124_031500_7f3a",
                "this kept database too, before its time",
            ),
        ],
        exits: exits::CHANGES,
    },
    Lesson {
        verb: &["restore"],
        touches: "The set's databases and uploaded files take the places of those of now, which are kept beside them, and \
                  its release is started. What users wrote since is put aside only with `--restore-data always`. Shows \
                  the plan and asks first.",
        more: &[
            "The set is read to its end first. Its dumps are loaded into new databases beside those of now, counted and \
             compared, while the site still runs; then the site stops and all of them change places at once.",
            "The env file and the compose files of the set go back only with `--config`; how they differ is told. With \
             `--into` they are written first, onto a host that has no site: what is needed there is Docker, a database \
             server, and this program.",
        ],
        examples: &[
            ("uplift backup list", "which sets there are"),
            ("uplift restore 20261124-031500-7f3a --dry-run", "what it would do; nothing is touched"),
            (
                "uplift restore 20261124-031500-7f3a --restore-data always --jobs hold",
                "what was written since is put aside, and kept; the worker waits until you start it",
            ),
            (
                "uplift restore /mnt/backups/20261124-031500-7f3a --into /srv/strata",
                "onto a host that has lost everything",
            ),
        ],
        exits: exits::CHANGES,
    },
    Lesson {
        verb: &["init"],
        touches: "Writes `uplift.toml` into the site folder, or adds to it; nothing in it is replaced. Nothing else is \
                  touched.",
        more: &[
            "A site needs no `uplift.toml`: its containers tell how it was made. With it the project's name, its compose \
             files, env files and profiles are known also while no container is there to tell them.",
        ],
        examples: &[
            ("uplift init --dry-run", "what is found here, and what would be written; nothing is touched"),
            (
                "uplift init --trust RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3",
                "take bundles of runbooks that this key has signed",
            ),
            ("uplift -C /srv/strata init", "the site in another folder than this one"),
        ],
        exits: exits::LOOKS,
    },
    Lesson {
        verb: &["status"],
        touches: "Only looks. What it cannot read is a line of it, with what to do about that.",
        more: &[],
        examples: &[
            ("uplift status", "the first thing to type on any host"),
            ("uplift -C /srv/strata status", "the site in another folder than this one"),
            ("uplift status -o json", "one object, for a program"),
        ],
        exits: exits::STATUS,
    },
    Lesson {
        verb: &["history"],
        touches: "Only looks, and needs neither the engine nor the databases for it.",
        more: &[],
        examples: &[
            ("uplift history", "what was done here, when, by whom, and how it ended"),
            ("uplift history -n 5", "the newest five"),
            ("uplift history --all", "from the first run on"),
            ("uplift history -o json", "all of them, one object per run, for a program"),
        ],
        exits: exits::LOOKS,
    },
    Lesson {
        verb: &["show"],
        touches: "Only looks, and needs neither the engine nor the databases for it. Who follows a run can stop looking at \
                  any time; the run goes on.",
        more: &[],
        examples: &[
            ("uplift show", "the newest run"),
            ("uplift show 20261124", "the run whose name begins so"),
            ("uplift show --follow", "watch a run that is at work, e.g. from another terminal"),
        ],
        exits: exits::SHOW,
    },
    Lesson {
        verb: &["run"],
        touches: "Changes what the runbook says. It is planned, asked about, written down and taken back like an upgrade; \
                  a mistake in the file is found before anything runs.",
        more: &["The parameters in the runbook's header are flags of this command: \
             `uplift run NAME|FILE --help` lists them."],
        examples: &[
            ("uplift runbook list", "what there is"),
            ("uplift run compose/upgrade --help", "the parameters of a runbook"),
            (
                "uplift run ./upgrade.rhai --to 1.1.0 --dry-run",
                "what your own copy would do; nothing is touched",
            ),
            ("uplift run ./upgrade.rhai --param to=1.1.0", "the same parameter, written the other way"),
        ],
        exits: exits::CHANGES,
    },
    Lesson {
        verb: &["completions"],
        touches: "Only prints. The Debian package brings the scripts of bash, zsh and fish.",
        more: &[],
        examples: &[
            ("uplift completions bash > /etc/bash_completion.d/uplift", "for all users of bash, as root"),
            (
                "uplift completions zsh > /usr/local/share/zsh/site-functions/_uplift",
                "for all users of zsh, as root",
            ),
            ("uplift completions fish > ~/.config/fish/completions/uplift.fish", "for you, in fish"),
        ],
        exits: exits::PRINTS,
    },
    Lesson {
        verb: &["man"],
        touches: "Only prints; with `--folder` it writes there. The Debian package brings all pages: `man uplift`.",
        more: &[],
        examples: &[
            ("uplift man | man -l -", "read the page of uplift"),
            ("uplift man backup create | man -l -", "read that of one command"),
            (
                "uplift man --folder /usr/local/share/man/man1",
                "write them all, e.g. for `man uplift-upgrade`",
            ),
        ],
        exits: exits::PRINTS,
    },
];

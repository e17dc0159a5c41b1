//! Signals and lost terminals, at each phase of a run: what stops it, what it outlives, and what a person finds then.

use std::time::{Duration, Instant};

use super::{
    super::{every, screen::Screen, told::until_it_begins},
    end::Way,
    walk::{Flow, Walk, tried},
};

/// What happens to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hit {
    /// Ctrl-C.
    Int,
    /// As a service manager ends a program, or a host its programs before it goes down.
    Term,
    /// The terminal is closed.
    Hup,
    /// Ctrl-Z, and a while later `fg`.
    Stop,
    /// Nobody reads what it says any more.
    Pipe,
}

const HITS: [Hit; 5] = [Hit::Int, Hit::Term, Hit::Hup, Hit::Stop, Hit::Pipe];

/// As soon as this call has begun, and so many milliseconds later.
const PHASES: [(Flow, &str, u64); 6] = [
    (Flow::Upgrade, "prepare/backup#1", 100),
    (Flow::Upgrade, "stop/compose_stop#1", 300),
    (Flow::Upgrade, "migrate in the dark/compose_trial#1", 1000),
    (Flow::Upgrade, "switch web/compose_up#1", 300),
    (Flow::Upgrade, "verify/wait_healthy#1", 200),
    (Flow::Fails, "migrate in the dark/compose_trial#1", 1500),
];

/// From the signal to the end, on a machine that does other things besides.
const AT_ONCE: Duration = Duration::from_secs(3);
/// How long a run stands still that somebody has stopped.
const STILL: Duration = Duration::from_secs(8);

#[test]
fn a_signal_or_a_lost_terminal_leaves_a_state_that_has_a_name() {
    let (mut walk, mut wrong) = (Walk::begin(), Vec::new());
    for (number, hit) in HITS.into_iter().enumerate() {
        for (at, phase) in PHASES.into_iter().enumerate() {
            if !every() && at != (number * 2 + 1) % (PHASES.len() - 1) {
                continue;
            }
            let way = Way::by_turns(number + at);
            match tried(&mut walk, Walk::begin, |walk| struck(walk, hit, phase, way)) {
                Ok(line) => eprintln!("{line}"),
                Err(text) => wrong.push(format!("{hit:?} at {phase:?}, then {way:?}: {text}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{} went wrong:\n{}", wrong.len(), wrong.join("\n\n"));
    walk.field.end();
}

fn struck(walk: &mut Walk, hit: Hit, (flow, address, after): (Flow, &str, u64), way: Way) -> String {
    eprintln!("{hit:?} at {address}, then {way:?}");
    walk.reach(flow);
    let scene = walk.scene(flow, true);
    let words = format!("{} -o json", walk.words(flow));
    let screen = match hit {
        Hit::Pipe => unread(walk, &words, address),
        _ => signalled(walk, &words, hit, (address, after)),
    };
    let exit = screen.exit();
    match hit {
        // It may have been done with what it was at.
        Hit::Int | Hit::Term => {
            assert!([Some(9), Some(130)].contains(&exit), "{hit:?}: no end that was asked for\n{screen}");
        }
        Hit::Hup | Hit::Stop => assert_eq!(exit, Some(flow.exit()), "{hit:?} has disturbed it\n{screen}"),
        // Its own end is not seen through a pipe; the record has it.
        Hit::Pipe => {}
    }
    walk.ended(scene, way);
    format!("{hit:?} at `{address}`: exit {exit:?}, then {way:?}")
}

fn signalled(walk: &Walk, words: &str, hit: Hit, (address, after): (&str, u64)) -> Screen {
    let run = walk.field.start(words);
    until_it_begins(&run, address);
    std::thread::sleep(Duration::from_millis(after));
    match hit {
        Hit::Int => run.signal("INT").unwrap(),
        Hit::Term => run.signal("TERM").unwrap(),
        Hit::Hup => run.signal("HUP").unwrap(),
        Hit::Stop | Hit::Pipe => {
            run.signal("STOP").unwrap();
            std::thread::sleep(STILL);
            run.signal("CONT").unwrap();
        }
    }
    let asked = Instant::now();
    let screen = walk.field.ended(run, words);
    let took = asked.elapsed();
    assert!(!matches!(hit, Hit::Int | Hit::Term) || took < AT_ONCE, "gone after {took:?}\n{screen}");
    screen
}

/// Whoever reads goes away once the call has begun.
fn unread(walk: &Walk, words: &str, address: &str) -> Screen {
    let reader = format!("grep -m1 -F call_started.*{address} >/dev/null");
    let reader = reader.replace(" -F", "");
    let line = format!("{} {words} 2>&1 | {reader}; exit ${{PIPESTATUS[0]}}", env!("CARGO_BIN_EXE_uplift"));
    let shell = walk.field.wrapped("bash", "-c").arg(line);
    walk.field.run(&shell, words)
}

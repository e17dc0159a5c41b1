//! Sorting and thinning out by a function of the script's: what it answers is taken, and what it throws comes through.

use serde_json::json;

use super::stage::play;

#[test]
fn what_a_comparison_throws_comes_through() {
    for script in [
        "let a = [3, 1, 2]; a.sort(|a, b| throw \"no\");",
        "let a = [3, 1, 2]; a.sort_by(|a, b| throw \"no\");",
        "let a = [3, 1, 2]; a.dedup(|a, b| throw \"no\");",
    ] {
        let played = play(script);
        assert_eq!((&*played.error().code, &*played.error().message), ("thrown", "no"), "{script}");
        assert_eq!(played.error().places[0].line, 2, "{script}");
    }
    let caught = "let a = [3, 1, 2]; let code = \"\"; \
         try { a.sort(|a, b| fail(\"odd\", \"x\")); } catch (e) { code = e.code; } code";
    assert_eq!(play(caught).result.unwrap(), "odd");
}

/// A cancel and a limit are no answers either.
#[test]
fn a_comparison_without_an_end_ends_the_script() {
    let played = play("let a = [3, 1, 2]; a.sort(|a, b| { loop { } });");
    assert_eq!(played.error().code, "too_many_operations");
}

#[test]
fn an_answer_that_says_nothing_is_an_error() {
    for (script, wanted) in [
        ("let a = [3, 1, 2]; a.sort(|a, b| \"after\");", "a number or a truth value"),
        ("let a = [3, 1, 2]; a.sort_by(|a, b| ());", "a number or a truth value"),
        ("let a = [3, 1, 2]; a.dedup(|a, b| 0);", "a truth value"),
    ] {
        let played = play(script);
        assert_eq!(played.error().code, "thrown", "{script}");
        assert!(played.error().message.contains(wanted), "{script}: {}", played.error().message);
    }
}

#[test]
fn numbers_and_truth_values_order() {
    for (script, sorted) in [
        ("let a = [3, 1, 2]; a.sort(|a, b| a - b); a", json!([1, 2, 3])),
        ("let a = [3, 1, 2]; a.sort(|a, b| b - a); a", json!([3, 2, 1])),
        ("let a = [3, 1, 2]; a.sort(|a, b| a <= b); a", json!([1, 2, 3])),
        ("let a = [3, 1, 2]; a.sort_by(|a, b| a >= b); a", json!([3, 2, 1])),
        ("let a = [1, 1, 2, 2, 1]; a.dedup(|a, b| a == b); a", json!([1, 2, 1])),
        ("let a = []; a.sort(|a, b| a - b); a", json!([])),
    ] {
        assert_eq!(play(script).result.unwrap(), sorted, "{script}");
    }
}

/// Equal ones stay in their order, and the first of those that are the same stays; also where the answers contradict each
/// other nothing is lost.
#[test]
fn the_order_is_stable_and_nothing_is_lost() {
    let stable = "let a = [[2, \"a\"], [1, \"b\"], [2, \"c\"], [1, \"d\"]]; a.sort(|x, y| x[0] - y[0]); a";
    assert_eq!(play(stable).result.unwrap(), json!([[1, "b"], [1, "d"], [2, "a"], [2, "c"]]));
    let by_truth = "let a = [[2, \"a\"], [1, \"b\"], [2, \"c\"]]; a.sort(|x, y| x[0] <= y[0]); a";
    assert_eq!(play(by_truth).result.unwrap(), json!([[1, "b"], [2, "a"], [2, "c"]]));
    let first = "let a = [[1, \"a\"], [1, \"b\"], [2, \"c\"]]; a.dedup(|x, y| x[0] == y[0]); a";
    assert_eq!(play(first).result.unwrap(), json!([[1, "a"], [2, "c"]]));
    for answer in ["1", "-1", "0", "true", "false"] {
        let script = format!("let a = [3, 1, 2]; a.sort(|x, y| {answer}); a.sort(|x, y| x - y); a");
        assert_eq!(play(&script).result.unwrap(), json!([1, 2, 3]), "{answer}");
    }
}

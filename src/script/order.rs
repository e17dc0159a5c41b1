//! Sorting and thinning out by a function of the script's. The packages' own take an error of that function for an answer,
//! an interruption included, and go on.

use rhai::{Array, Dynamic, Engine, EvalAltResult, FnPtr, NativeCallContext};

use super::session::Res;

pub(super) fn register(engine: &mut Engine) {
    for name in ["sort", "sort_by"] {
        engine.register_fn(
            name,
            |context: NativeCallContext<'_>, array: &mut Array, comparer: FnPtr| -> Res<()> {
                *array = sorted(&context, array, &comparer)?;
                Ok(())
            },
        );
    }
    engine.register_fn(
        "dedup",
        |context: NativeCallContext<'_>, array: &mut Array, same: FnPtr| -> Res<()> {
            let mut kept = Array::new();
            for item in array.iter() {
                let is_same = match kept.last() {
                    Some(last) => truth(&asked(&context, &same, last, item)?, &context)?,
                    None => false,
                };
                if !is_same {
                    kept.push(item.clone());
                }
            }
            *array = kept;
            Ok(())
        },
    );
}

/// Each item put where it belongs among those before it, equal ones in their order. Whatever the comparer answers, this
/// comes to an end.
fn sorted(context: &NativeCallContext<'_>, array: &Array, comparer: &FnPtr) -> Res<Array> {
    let mut sorted = Array::with_capacity(array.len());
    for item in array {
        let (mut low, mut high) = (0, sorted.len());
        while low < high {
            let middle = usize::midpoint(low, high);
            if is_after(&asked(context, comparer, &sorted[middle], item)?, context)? {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        sorted.insert(low, item.clone());
    }
    Ok(sorted)
}

fn asked(context: &NativeCallContext<'_>, function: &FnPtr, left: &Dynamic, right: &Dynamic) -> Res<Dynamic> {
    function.call_within_context(context, (left.clone(), right.clone()))
}

/// A number above zero, or `false` for "not in this order".
fn is_after(answer: &Dynamic, context: &NativeCallContext<'_>) -> Res<bool> {
    match (answer.as_int(), answer.as_bool()) {
        (Ok(number), _) => Ok(number > 0),
        (_, Ok(in_order)) => Ok(!in_order),
        _ => Err(unfit("a number or a truth value", answer, context).into()),
    }
}

fn truth(answer: &Dynamic, context: &NativeCallContext<'_>) -> Res<bool> {
    answer.as_bool().map_err(|_| unfit("a truth value", answer, context).into())
}

fn unfit(wanted: &str, answer: &Dynamic, context: &NativeCallContext<'_>) -> EvalAltResult {
    let text = format!("a comparison answers {wanted}, not `{}`", answer.type_name());
    EvalAltResult::ErrorRuntime(text.into(), context.call_position())
}

//! The examples as they stand, and the guide for embedders, whose blocks are pieces of them.

#[path = "../examples/events.rs"]
mod events;
#[path = "../examples/own_primitive.rs"]
mod own_primitive;
#[path = "../examples/test_runbook.rs"]
mod test_runbook;

use std::{fs, path::Path};

use snapbox::{Data, assert_data_eq, data::DataFormat};

/// Before each block of the guide that is a piece of an example.
const MARK: &str = "<!-- from ";

/// The lines of `file` between `// [name]` and `// [/name]`, as far to the left as they go.
fn piece(file: &str, name: &str) -> String {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let mark = |mark: String| {
        let at = text.lines().position(|line| line.trim() == mark);
        at.unwrap_or_else(|| panic!("{file} has no line `{mark}`"))
    };
    let (first, last) = (mark(format!("// [{name}]")) + 1, mark(format!("// [/{name}]")));
    let lines: Vec<_> = text.lines().skip(first).take(last - first).collect();
    let indent = |line: &&str| line.len() - line.trim_start().len();
    let margin = lines.iter().filter(|line| !line.trim().is_empty()).map(indent).min().unwrap_or_default();
    lines.iter().flat_map(|line| [line.get(margin..).unwrap_or_default(), "\n"]).collect()
}

/// The guide with each marked block as its example has it. An unmarked block of Rust is nobody's and fails.
fn with_pieces(page: &str) -> String {
    let (mut made, mut lines, mut marked) = (String::new(), page.lines(), None);
    while let Some(line) = lines.next() {
        made.extend([line, "\n"]);
        if let Some(rest) = line.strip_prefix(MARK) {
            marked = rest.trim_end_matches(" -->").split_once(": ");
        } else if line == "```rust" {
            let (file, name) = marked.take().expect("each block of Rust is from an example");
            made.extend([piece(file, name).as_str(), "```\n"]);
            lines.by_ref().find(|line| *line == "```").expect("an end of the block");
        }
    }
    made
}

/// After a change of an example: `SNAPSHOTS=overwrite cargo test --locked -- embedders`, and read the difference.
#[test]
fn the_guide_for_embedders_is_made_of_the_examples() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/embedding.md");
    let page = fs::read_to_string(&kept).unwrap();
    assert!(page.matches("```rust").count() > 7, "few blocks were found");
    assert_data_eq!(with_pieces(&page), Data::read_from(&kept, Some(DataFormat::Text)).raw());
}

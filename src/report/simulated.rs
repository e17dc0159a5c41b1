use std::path::Path;

use super::paper::Paper;

/// Said first of all by each command: nobody may take a simulated site for a real one.
pub fn simulated(paper: &mut Paper, file: &Path, folder: &Path) {
    let text = format!(
        "simulated: the site of `{}`, as it is in `{}`; nothing real is touched",
        file.display(),
        folder.display()
    );
    paper.paragraph(0, &text);
}

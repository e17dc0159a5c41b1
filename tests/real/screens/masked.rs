//! Screens without what is another each time.

use super::super::Field;

pub(super) fn masked(screen: &str, field: &Field) -> String {
    let (dir, project) = (field.dir().display().to_string(), field.stack.project());
    let text = screen.replace(&dir, "/srv/strata").replace(project, "strata");
    let text = ["exit code 1", "the engine has started it again since"]
        .iter()
        .fold(text, |text, why| text.replace(&format!("died: {why}"), "died: WHY"));
    let mut lines: Vec<String> = Vec::new();
    // What takes long says that it goes on, and on another machine it does not take long.
    // So is who else is on the engine.
    let shown = |line: &&str| {
        !line.starts_with("(exit") && !line.starts_with("  ...") && !line.contains("-watch` may start")
    };
    for line in text.lines().filter(shown) {
        let begins = line.len() - line.trim_start().len();
        let item = line.trim_start().starts_with("- ");
        let full = |last: &&mut String| begins >= 8 && last.len() > 150 && !item;
        match lines.last_mut().filter(full) {
            Some(last) => *last = format!("{last} {}", line.trim()),
            None => lines.push(line.trim_end().to_owned()),
        }
    }
    let exit = screen.lines().nth(1).unwrap_or_default();
    let exit: String = exit.chars().take_while(|letter| *letter != ')').collect();
    let mut page: Vec<String> = Vec::new();
    for line in lines.iter().map(|line| of_line(line)) {
        // A log has the same lines again where the engine has started the container again.
        if !(line.starts_with("            ") && page.contains(&line)) {
            page.push(line);
        }
    }
    page.push(format!("{exit})"));
    page.join("\n") + "\n"
}

/// Its words where they stand, but for gaps: what is aligned depends on how long a time is.
fn of_line(line: &str) -> String {
    let (mut shown, mut rest) = (String::new(), line);
    for (at, word) in line.split_whitespace().enumerate() {
        let gap = rest.len() - rest.trim_start().len();
        shown.push_str(&" ".repeat(if at == 0 { gap } else { gap.min(2) }));
        rest = &rest[gap + word.len()..];
        shown.push_str(&of_word(word));
    }
    if let Some(at) = shown.find("; watch out for `") {
        let took = shown.rfind("  N s").unwrap_or(shown.len());
        shown.replace_range(at..took, "");
    }
    // Whether it has died often enough by then to be said so.
    if let Some(job) = shown.strip_prefix("job  `server:1.8.0` ") {
        let dies = job.starts_with("KEEPS DYING") || job.starts_with("up since");
        return format!("job  `server:1.8.0` {}", if dies { "KEEPS DYING, OR IS UP YET" } else { job });
    }
    // It depends on the moment of the look, and on the machine.
    shown
        .replace(", restarted N times", "")
        .replace(", restarted N time", "")
        .replace("N min N s", "N s")
        .replace("of N min", "of N s")
}

fn of_word(word: &str) -> String {
    let plain = |letter: char| !letter.is_ascii_alphanumeric();
    let bare = word.trim_matches(plain);
    let digits = bare.chars().filter(char::is_ascii_digit).count();
    // The product's; what the machine has of its own is another on each.
    let is_version = bare.split('.').count() == 3 && bare.starts_with("1.");
    let number = !bare.is_empty() && bare.chars().all(|letter| letter.is_ascii_digit() || letter == '.');
    if is_version {
        return word.to_owned();
    }
    let is_id = bare.len() == 12 && bare.chars().all(|letter| letter.is_ascii_hexdigit());
    if number || digits > 4 || is_id || is_time(bare) {
        return masked_digits(word);
    }
    word.to_owned()
}

/// `2m`, `12s`, `10:15:09`, `1h`.
fn is_time(bare: &str) -> bool {
    bare.contains(':') && bare.chars().all(|letter| letter.is_ascii_digit() || letter == ':')
}

/// Every run of digits, or of the letters that a hash has besides, is one `N`; known releases stay.
fn masked_digits(word: &str) -> String {
    let mut shown = String::new();
    for part in word.split_inclusive(['-', '/', ':', '_', '.', '@', '=', '`', ',']) {
        let bare = part.trim_matches(|letter: char| !letter.is_ascii_alphanumeric());
        let digits = bare.chars().any(|letter| letter.is_ascii_digit());
        // The end of a run's name may hold no digit.
        let is_hash = (digits || bare.len() == 4) && bare.chars().all(|letter| letter.is_ascii_hexdigit());
        let end = part.chars().last().filter(|letter| !letter.is_ascii_alphanumeric());
        if is_hash {
            shown.push('N');
            shown.extend(end);
        } else {
            shown.push_str(part);
        }
    }
    while shown.contains("N.N") {
        shown = shown.replace("N.N", "N");
    }
    shown
}

//! Lines of what a program writes, whatever it writes: one that never ends a line must not fill the memory.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _};

use super::LINE;

/// Reads a line into `line`, its first `LINE` bytes; false at the end.
pub(super) async fn next(reader: &mut (impl AsyncBufRead + Unpin), line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let mut any = false;
    loop {
        let bytes = reader.fill_buf().await?;
        if bytes.is_empty() {
            return Ok(any);
        }
        any = true;
        let end = bytes.iter().position(|byte| *byte == b'\n');
        // One byte more, to see that there is more.
        let room = (LINE + 1).saturating_sub(line.len());
        line.extend_from_slice(&bytes[..end.unwrap_or(bytes.len()).min(room)]);
        let used = end.map_or(bytes.len(), |end| end + 1);
        reader.consume(used);
        if end.is_some() {
            return Ok(true);
        }
    }
}

/// It as text. Of a word that is cut off nothing is left: it may be the half of a secret, which nobody would know again.
pub(super) fn text(line: &[u8]) -> String {
    if line.len() <= LINE {
        return String::from_utf8_lossy(line).trim_end().to_owned();
    }
    let whole = line[..LINE].iter().rposition(u8::is_ascii_whitespace).unwrap_or(0);
    format!("{} [...]", String::from_utf8_lossy(&line[..whole]).trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_whole_or_end_before_the_word_that_is_cut() {
        let long = format!("{} {}\n", "a".repeat(LINE - 4), "secret-of-many-letters");
        let text_of = format!("one\n{long}\n{}", "x".repeat(1 << 20));
        let mut reader = tokio::io::BufReader::with_capacity(64, text_of.as_bytes());
        let (mut line, mut found) = (Vec::new(), Vec::new());
        while next(&mut reader, &mut line).await.unwrap() {
            assert!(line.capacity() < 4 * LINE, "{}", line.capacity());
            found.push(text(&line));
        }
        assert_eq!(found.len(), 4);
        assert_eq!((&*found[0], &*found[2], &*found[3]), ("one", "", " [...]"));
        assert_eq!(found[1], format!("{} [...]", "a".repeat(LINE - 4)));
    }
}

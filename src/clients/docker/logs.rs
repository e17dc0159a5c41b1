use bollard::{Docker as Api, errors::Error, query_parameters::LogsOptionsBuilder};
use futures::StreamExt as _;

use crate::ports::docker::LogLine;

/// What a container said, oldest first, with times.
pub(super) async fn read(api: &Api, id: &str, tail: Option<usize>) -> Result<Vec<LogLine>, Error> {
    let tail = tail.map_or_else(|| "all".to_owned(), |tail| tail.to_string());
    let options = LogsOptionsBuilder::new().stdout(true).stderr(true).timestamps(true).tail(&tail).build();
    let mut entries = api.logs(id, Some(options));
    let mut lines = Vec::new();
    while let Some(entry) = entries.next().await {
        match entry {
            Ok(entry) => lines.push(line(entry.as_ref())),
            // The last line of a terminal that was cut off in the middle of it.
            Err(Error::IOError { .. }) if !lines.is_empty() => break,
            Err(Error::DockerResponseServerError { message, .. })
                if message.contains("does not support reading") =>
            {
                let text = "(its log goes elsewhere: the engine cannot read it back)".to_owned();
                lines.push(LogLine { at: None, text });
                break;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(lines)
}

/// `2026-11-24T03:15:00.123456789Z text`.
fn line(entry: &[u8]) -> LogLine {
    let text = String::from_utf8_lossy(entry);
    let text = text.trim_end_matches(['\n', '\r']);
    let (time, rest) = text.split_once(' ').unwrap_or((text, ""));
    match time.parse() {
        Ok(at) => LogLine { at: Some(at), text: rest.to_owned() },
        Err(_) => LogLine { at: None, text: text.to_owned() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_parted_from_its_time() {
        let found = line(b"2026-11-24T03:15:00.123456789Z => Booting Puma\r\n");
        assert_eq!((found.at.is_some(), found.text.as_str()), (true, "=> Booting Puma"));
        assert_eq!(line(b"2026-11-24T03:15:00Z\n").text, "");
        assert_eq!(line(b"no time here\n").text, "no time here");
    }
}

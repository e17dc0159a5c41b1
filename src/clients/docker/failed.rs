use bollard::errors::Error;

use super::{EngineClient, place::Place};
use crate::{
    event::Failure,
    ports::{files::quote, project::tag},
};

/// Why the engine did not do what it was asked, with what to do about it.
pub(super) fn answered(place: &Place, error: &Error) -> Failure {
    let (status, message) = match error {
        Error::DockerResponseServerError { status_code, message } => (*status_code, message.as_str()),
        Error::DockerStreamError { error } => (500, error.as_str()),
        Error::RequestTimeoutError => {
            return Failure::new("engine_slow", "the docker engine does not answer in time")
                .hint("look at it: `systemctl status docker`")
                .retryable();
        }
        Error::IOError { err } if err.to_string().contains("bytes remaining on stream") => {
            return Failure::new("engine_failed", "the docker engine broke off in the middle of an answer")
                .hint("see what has ended it: `journalctl -u docker`");
        }
        other if is_unreached(other) => return unreached(place, other),
        other => {
            return Failure::new("engine_failed", format!("the docker engine cannot be understood: {other}"))
                .hint("see what answers: `docker version`");
        }
    };
    let text = message.to_lowercase();
    if text.contains("no space left") || text.contains("disk quota exceeded") {
        return Failure::new("no_room", "no space left where the docker engine keeps its images")
            .hint("make room there: `docker system df`")
            .evidence([message.to_owned()]);
    }
    if let Some(failure) = port_taken(message) {
        return failure;
    }
    let failure = Failure::new("engine_failed", format!("the docker engine refuses: {}", one_line(message)))
        .hint("mend what it says, and type the command again; it says more in `journalctl -u docker`");
    if status == 503 { failure.retryable() } else { failure }
}

/// A container cannot be started because its published port is taken. The engine itself may hold it for a container that
/// it has lost, after a crash or a power cut, until it is started again.
pub(in crate::clients) fn port_taken(message: &str) -> Option<Failure> {
    let taken = ["port is already allocated", "address already in use"];
    if !taken.iter().any(|words| message.contains(words)) {
        return None;
    }
    let mut addresses = message.split_whitespace().filter_map(|word| {
        let word = word.trim_end_matches([':', ',']);
        word.split('/').next()?.parse::<std::net::SocketAddr>().ok()
    });
    let address = addresses.next_back()?;
    let text = format!("`{address}` is taken, and a container that publishes it cannot be started");
    let port = address.port();
    let hint = format!(
        "see who holds it: `docker ps --filter publish={port}`, `ss -ltnp 'sport = :{port}'`; if nobody does, the engine holds \
         it for a container that it has lost: `sudo systemctl restart docker`; then type the command again"
    );
    Some(Failure::new("port_taken", text).hint(hint).evidence([one_line(message)]))
}

impl EngineClient {
    /// The same for a question about one container.
    pub(super) fn about(&self, id: &str, error: &Error) -> Failure {
        if is_missing(error) { missing(id) } else { self.answered(error) }
    }
}

/// Marks what may have been done although nobody heard of it.
pub(super) fn begun(error: &Error, failure: Failure) -> Failure {
    let lost = matches!(
        error,
        Error::RequestTimeoutError
            | Error::HyperResponseError { .. }
            | Error::IOError { .. }
            | Error::JsonDataError { .. }
    );
    // A connection that never came to be carried no request.
    let lost = lost || matches!(error, Error::HyperLegacyError { err } if !err.is_connect());
    if lost { failure.unknown() } else { failure }
}

/// The thing that was asked for is not there.
pub(super) fn is_missing(error: &Error) -> bool {
    matches!(error, Error::DockerResponseServerError { status_code: 404, .. })
}

pub(super) fn missing(id: &str) -> Failure {
    Failure::new("container_missing", format!("there is no container `{id}`"))
        .hint("see which there are: `docker ps -a`")
}

pub(super) fn not_on_host(image: &str) -> Failure {
    Failure::new("not_on_host", format!("the image `{image}` is not on this host"))
        .hint("see which there are: `docker image ls --digests`")
}

/// What a registry answered, passed on by the engine in words that differ from version to version.
pub(super) fn registry(place: &Place, reference: &str, error: &Error) -> Failure {
    let (status, message) = match error {
        Error::DockerResponseServerError { status_code, message } => (*status_code, message.as_str()),
        Error::DockerStreamError { error } => (0, error.as_str()),
        other => return answered(place, other),
    };
    let text = message.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let failure = if says(&["no space left", "disk quota exceeded"]) {
        return answered(place, error);
    } else if says(&["toomanyrequests", "too many requests", "rate limit"]) {
        Failure::new("registry_unreachable", format!("the registry of `{reference}` asks to come back later"))
            .hint("wait a while, or log in: `docker login`")
            .retryable()
    } else if status == 401
        || status == 403
        || says(&["unauthorized", "access denied", "authentication required", "forbidden", "no basic auth"])
    {
        Failure::new("registry_denied", format!("the registry refuses `{reference}`"))
            .hint(format!("log in: `docker login {}`", quote(registry_of(reference))))
    } else if says(&["manifest unknown", "name unknown", "not found", "repository does not exist"]) {
        Failure::new("tag_not_found", format!("the registry has no `{reference}`"))
            .hint(spelling(tag(reference)))
    } else {
        Failure::new("registry_unreachable", format!("the registry of `{reference}` does not answer"))
            .hint(format!("try it: `docker pull {}`", quote(reference)))
            .retryable()
    };
    failure.evidence([one_line(message)])
}

/// The part of a reference that names a registry, as the engine takes it: it holds a dot, a colon, or is `localhost`.
pub(super) fn registry_of(reference: &str) -> &str {
    match reference.split_once('/') {
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => first,
        _ => "docker.io",
    }
}

fn is_unreached(error: &Error) -> bool {
    match error {
        Error::SocketNotFoundError(_) => true,
        Error::HyperLegacyError { err } => err.is_connect(),
        _ => false,
    }
}

fn unreached(place: &Place, error: &Error) -> Failure {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        if let Some(io) = deeper.downcast_ref::<std::io::Error>()
            && io.kind() == std::io::ErrorKind::PermissionDenied
        {
            return Failure::new("engine_unreachable", "this user may not speak to the docker engine")
                .hint("run it again with `sudo`, or join the group: `sudo usermod -aG docker $USER`");
        }
        cause = deeper;
    }
    let failure = Failure::new("engine_unreachable", "the docker engine does not answer");
    match &place.said_by {
        Some(by) => failure.hint(format!("{by} names `{}`: start the engine there", place.address)),
        None if matches!(error, Error::SocketNotFoundError(_)) => failure.hint(
            "start it: `sudo systemctl start docker`; if Docker is not installed here, Strata runs on another host",
        ),
        None => failure.hint("start it: `sudo systemctl start docker`"),
    }
}

fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What to look at where the registry has no such tag.
fn spelling(tag: &str) -> String {
    let bare =
        tag.strip_prefix(['v', 'V']).filter(|rest| rest.starts_with(|first: char| first.is_ascii_digit()));
    let meant = bare.map(|bare| format!("did you mean `{bare}`? ")).unwrap_or_default();
    format!("{meant}look at the vendor's list of releases, and check the tag's spelling")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::environment::Environment;

    #[test]
    fn a_host_without_docker_is_told_from_an_engine_that_is_down() {
        let place = Place::of(&Environment::default());
        let hint = |error: &Error| unreached(&place, error).hint.unwrap_or_default();
        let none = hint(&Error::SocketNotFoundError("/var/run/docker.sock".to_owned()));
        assert!(none.contains("another host") && none.contains("systemctl start docker"), "{none}");
        let down = hint(&Error::IOError { err: std::io::ErrorKind::ConnectionRefused.into() });
        assert!(!down.contains("another host"), "{down}");
    }

    #[test]
    fn a_port_that_is_taken_is_named_however_the_engine_says_it() {
        for (said, address) in [
            (
                "driver failed programming external connectivity on endpoint web-1 (befe82): Bind for \
                 127.0.0.1:27339 failed: port is already allocated",
                "127.0.0.1:27339",
            ),
            (
                "Error starting userland proxy: listen tcp4 0.0.0.0:3000: bind: address already in use",
                "0.0.0.0:3000",
            ),
            ("failed to bind host port [::]:3000/tcp: address already in use", "[::]:3000"),
        ] {
            let failure = port_taken(said).unwrap();
            assert_eq!(failure.code, "port_taken");
            assert!(failure.message.contains(address), "{failure}");
        }
        assert!(port_taken("no such image").is_none());
    }

    /// What the library says of it names nothing that an operator knows.
    #[test]
    fn an_answer_that_ends_in_the_middle_is_told_in_words() {
        let place = Place { address: "unix:///var/run/docker.sock".to_owned(), said_by: None };
        let err = std::io::Error::other("bytes remaining on stream");
        let failure = answered(&place, &Error::IOError { err });
        assert_eq!(failure.message, "the docker engine broke off in the middle of an answer");
    }
}

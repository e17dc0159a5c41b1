use std::time::Duration;

use async_trait::async_trait;
use reqwest::{
    Client,
    header::{HOST, HeaderMap, HeaderName, HeaderValue, LOCATION},
    redirect::Policy,
};

use super::tls;
use crate::{
    event::Failure,
    ports::http::{Answer, Http, Probe},
};

/// Asks as a proxy in front of the product would: no redirect is followed, no proxy of ours stands between.
pub(super) struct WebClient(Client);

impl WebClient {
    pub(super) fn new() -> Result<Self, Failure> {
        let broken = |error: &dyn std::error::Error| {
            Failure::inside("http_client", format!("cannot make an HTTP client: {error}"))
        };
        let client = Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            // A kept connection to a container that was replaced would answer for the old one.
            .pool_max_idle_per_host(0)
            .tls_backend_preconfigured(tls::for_web().map_err(|error| broken(&error))?)
            .build()
            .map_err(|error| broken(&error))?;
        Ok(Self(client))
    }
}

#[async_trait]
impl Http for WebClient {
    async fn probe(&self, probe: &Probe) -> Result<Answer, Failure> {
        let request = self.0.get(&probe.url).headers(headers(probe)?).timeout(at_least(probe.timeout));
        let response = request.send().await.map_err(|error| no_answer(probe, &error))?;
        let location = response.headers().get(LOCATION);
        let location = location.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        Ok(Answer { status: response.status().as_u16(), location })
    }
}

/// A timeout of nothing would be none at all to some, and an answer that can never come to others.
fn at_least(timeout: Duration) -> Duration {
    timeout.max(Duration::from_millis(1))
}

fn headers(probe: &Probe) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::new();
    for (name, value) in &probe.headers {
        let unfit = || {
            Failure::new("bad_setting", format!("`{name}` cannot be sent as a header of HTTP"))
                .hint("write `APP_HOST` in `.env` as a plain host name")
        };
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unfit())?;
        let value = HeaderValue::from_str(value).map_err(|_| unfit())?;
        if name == HOST {
            headers.insert(name, value);
        } else {
            headers.append(name, value);
        }
    }
    Ok(headers)
}

fn no_answer(probe: &Probe, error: &reqwest::Error) -> Failure {
    let why = if error.is_timeout() {
        format!("nothing within {} s", probe.timeout.as_secs_f32())
    } else {
        let mut cause: &dyn std::error::Error = error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        cause.to_string().to_lowercase()
    };
    Failure::new("no_answer", format!("`{}` does not answer: {why}", probe.url))
        .hint(format!("ask it yourself: `curl -i {}`", probe.url))
        .retryable()
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    /// Answers once; gives what it was asked.
    async fn asked(answer: &'static str, headers: &[(&str, &str)]) -> (Result<Answer, Failure>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/up", listener.local_addr().unwrap());
        let heard = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut bytes = vec![0; 4096];
            let read = stream.read(&mut bytes).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            bytes.truncate(read);
            if answer.is_empty() {
                std::future::pending::<()>().await;
            }
            String::from_utf8(bytes).unwrap()
        });
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let probe = Probe { url, headers, timeout: Duration::from_millis(500) };
        let answer = WebClient::new().unwrap().probe(&probe).await;
        let heard = tokio::time::timeout(Duration::from_millis(100), heard).await;
        (answer, heard.map_or_else(|_| String::new(), Result::unwrap))
    }

    #[tokio::test]
    async fn it_asks_as_a_proxy_would_and_follows_nothing() {
        let moved = "HTTP/1.1 301 Moved\r\nLocation: https://strata.example/up\r\nContent-Length: 0\r\n\r\n";
        let headers = [("Host", "strata.example"), ("X-Forwarded-Proto", "https")];
        let (answer, heard) = asked(moved, &headers).await;
        let location = Some("https://strata.example/up".to_owned());
        assert_eq!(answer.unwrap(), Answer { status: 301, location });
        let heard = heard.to_lowercase();
        assert_eq!(heard.matches("host: ").count(), 1, "{heard}");
        assert!(
            heard.contains("host: strata.example") && heard.contains("x-forwarded-proto: https"),
            "{heard}"
        );
    }

    #[tokio::test]
    async fn one_who_listens_and_says_nothing_is_no_answer() {
        let failure = asked("", &[]).await.0.unwrap_err();
        assert_eq!((failure.code.as_str(), failure.retryable), ("no_answer", true));
    }
}

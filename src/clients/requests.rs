use std::time::Duration;

use async_trait::async_trait;
use reqwest::{
    Client, Method, NoProxy, Proxy, Response, Url,
    header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, LOCATION},
    redirect::Policy,
};

use super::{environment::Environment, tls};
use crate::{
    event::Failure,
    ports::requests::{ANSWERED, Host, REDIRECTS, Reply, Requests, RequestsRead, SendRequest, bearer},
};

/// Services elsewhere, by the proxies that uplift was started with.
pub(super) struct Elsewhere(Client);

impl Elsewhere {
    pub(super) fn new(environment: &Environment) -> Result<Self, Failure> {
        let broken = |error: &dyn std::error::Error| {
            Failure::inside("http_client", format!("cannot make an HTTP client: {error}"))
        };
        let mut builder = Client::builder()
            .redirect(Policy::none())
            .pool_max_idle_per_host(0)
            // Where nobody takes the call within this, nothing was sent.
            .connect_timeout(Duration::from_secs(5))
            .user_agent(concat!("uplift/", env!("CARGO_PKG_VERSION")))
            .tls_backend_preconfigured(tls::for_web().map_err(|error| broken(&error))?)
            // What this process itself was started with counts only where it is said so.
            .no_proxy();
        let either = |one: &str, other: &str| environment.get(one).or_else(|| environment.get(other));
        let besides = either("NO_PROXY", "no_proxy").and_then(NoProxy::from_string);
        for (proxy, make) in [
            (either("HTTPS_PROXY", "https_proxy"), Proxy::https as fn(String) -> reqwest::Result<Proxy>),
            (either("HTTP_PROXY", "http_proxy"), Proxy::http),
            (either("ALL_PROXY", "all_proxy"), Proxy::all),
        ] {
            // One that cannot be used is none: most commands ask nobody elsewhere.
            let Some(Ok(proxy)) = proxy.map(|url| make(url.to_owned())) else { continue };
            builder = builder.proxy(proxy.no_proxy(besides.clone()));
        }
        Ok(Self(builder.build().map_err(|error| broken(&error))?))
    }

    /// Asks, and asks again where it is led on to; within one timeout.
    async fn asked(&self, request: &SendRequest) -> Result<Reply, Failure> {
        let bad = |why: &str| {
            Failure::new("http_bad_request", format!("`{}` cannot be sent: {why}", request.words()))
                .hint("correct it in the runbook")
        };
        let method = Method::from_bytes(request.method.as_bytes()).map_err(|_| bad("no such method"))?;
        let mut url = Url::parse(request.address.reveal()).map_err(|_| bad("its address is none"))?;
        let first = url.origin();
        for _ in 0..=REDIRECTS {
            if !is_granted(&url, request) {
                return Err(request.not_granted());
            }
            let mut sent = self.0.request(method.clone(), url.clone());
            // Whoever it is led on to gets nothing that was meant for the first.
            if url.origin() == first {
                sent = sent.headers(headers(request).ok_or_else(|| bad("one of its headers is none"))?);
                if let Some(body) = &request.body {
                    sent = sent.body(body.clone());
                }
            }
            let response = sent.send().await.map_err(|error| failed(request, &error))?;
            let location = response.headers().get(LOCATION);
            let location = location.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
            let on = location.as_ref().filter(|_| request.is_safe() && response.status().is_redirection());
            let on = on
                .and_then(|to| url.join(to).ok())
                .filter(|to| is_granted(to, request) && (to.scheme() == "https" || url.scheme() == "http"));
            match on {
                Some(to) => url = to,
                None => return reply(request, response, location).await,
            }
        }
        Err(request.no_answer("it leads on and on"))
    }
}

/// By the client's own understanding of the address.
fn is_granted(url: &Url, request: &SendRequest) -> bool {
    let Some(name) = url.host_str().map(str::to_owned) else { return false };
    let port = url.port_or_known_default().unwrap_or_default();
    let plain = url.username().is_empty() && url.password().is_none();
    plain && Host { name, port, usual: url.port().is_none() }.is_granted(&request.grants)
}

fn headers(request: &SendRequest) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in &request.headers {
        headers.append(HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_str(value).ok()?);
    }
    for (name, lent) in &request.lent {
        let mut value = HeaderValue::from_str(lent.value.reveal()).ok()?;
        value.set_sensitive(true);
        headers.append(HeaderName::from_bytes(name.as_bytes()).ok()?, value);
    }
    if let Some(lent) = &request.bearer {
        let mut value = HeaderValue::from_str(bearer(lent).reveal()).ok()?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Some(headers)
}

async fn reply(
    request: &SendRequest,
    response: Response,
    location: Option<String>,
) -> Result<Reply, Failure> {
    let (status, mut response) = (response.status().as_u16(), response);
    let mut body = Vec::new();
    while body.len() <= ANSWERED {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => break,
            Err(error) => return Err(failed(request, &error)),
        }
    }
    let cut = body.len() > ANSWERED;
    body.truncate(ANSWERED);
    Ok(Reply { status, location, body: String::from_utf8_lossy(&body).into_owned(), cut })
}

/// The library's own words may hold the address: only the innermost cause is told.
fn failed(request: &SendRequest, error: &reqwest::Error) -> Failure {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let why = if std::ptr::eq(cause, error as &dyn std::error::Error) {
        "it cannot be asked".to_owned()
    } else {
        cause.to_string().to_lowercase()
    };
    if error.is_connect() || error.is_builder() { request.unreachable(&why) } else { request.no_answer(&why) }
}

#[async_trait]
impl RequestsRead for Elsewhere {
    async fn ask(&self, request: &SendRequest) -> Result<Option<Reply>, Failure> {
        self.send(request).await.map(Some)
    }
}

#[async_trait]
impl Requests for Elsewhere {
    async fn send(&self, request: &SendRequest) -> Result<Reply, Failure> {
        let limit = request.timeout.max(Duration::from_millis(1));
        tokio::time::timeout(limit, self.asked(request)).await.unwrap_or_else(|_| Err(request.late()))
    }
}

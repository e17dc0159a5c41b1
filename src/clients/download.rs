//! A file that somebody names by its address.

use std::time::Duration;

use reqwest::{Client, Response, Url, header::LOCATION, redirect::Policy};

use super::tls;
use crate::event::Failure;

/// How often an address may lead to another one.
const HOPS: usize = 5;
/// For how long nothing may come.
const PATIENCE: Duration = Duration::from_secs(30);

/// The bytes at an address that begins with `https://`, at most `largest` of them. It is nowhere led to an address that is
/// not as well protected.
///
/// # Errors
///
/// `download_address`, `download_failed`, `download_large`.
pub async fn download(address: &str, largest: u64) -> Result<Vec<u8>, Failure> {
    let failed = |error: &dyn std::error::Error| Failure::inside("http_client", error.to_string());
    let client = Client::builder()
        .redirect(Policy::none())
        .read_timeout(PATIENCE)
        .connect_timeout(PATIENCE)
        .tls_backend_preconfigured(tls::for_web().map_err(|error| failed(&error))?)
        .build()
        .map_err(|error| failed(&error))?;
    fetch(&client, address, largest, |url| url.scheme() == "https").await
}

async fn fetch(
    client: &Client,
    address: &str,
    largest: u64,
    may: impl Fn(&Url) -> bool,
) -> Result<Vec<u8>, Failure> {
    let mut url = Url::parse(address).map_err(|error| {
        Failure::new("download_address", format!("`{address}` is no address: {error}"))
            .hint("e.g. `https://downloads.example/strata-runbooks-1.2.0.bundle`")
    })?;
    for _ in 0..=HOPS {
        if !may(&url) {
            let text =
                format!("`{url}` is not reached over `https`, and what comes from there could be anybody's");
            return Err(Failure::new("download_address", text)
                .hint("name an address that begins with `https://`, or a file"));
        }
        let response =
            client.get(url.clone()).send().await.map_err(|error| failed(&url, &in_words(&error)))?;
        if response.status().is_redirection() {
            let to = response.headers().get(LOCATION).and_then(|to| to.to_str().ok());
            let to = to.and_then(|to| url.join(to).ok());
            url = to.ok_or_else(|| failed(&url, "it leads nowhere"))?;
            continue;
        }
        if !response.status().is_success() {
            return Err(failed(&url, &format!("the answer was {}", response.status())));
        }
        return body(response, &url, largest).await;
    }
    Err(failed(&url, &format!("it leads on more than {HOPS} times")))
}

async fn body(mut response: Response, url: &Url, largest: u64) -> Result<Vec<u8>, Failure> {
    let large = || {
        Failure::new("download_large", format!("`{url}` is larger than {} MiB", largest >> 20))
            .hint("see that this is the address of the file itself")
    };
    if response.content_length().is_some_and(|length| length > largest) {
        return Err(large());
    }
    let mut bytes = Vec::new();
    while let Some(part) = response.chunk().await.map_err(|error| failed(url, &in_words(&error)))? {
        bytes.extend_from_slice(&part);
        if bytes.len() as u64 > largest {
            return Err(large());
        }
    }
    Ok(bytes)
}

/// What is behind an error of the library, which itself only repeats the address.
fn in_words(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

fn failed(url: &Url, why: &str) -> Failure {
    Failure::new("download_failed", format!("`{url}` cannot be downloaded: {why}"))
        .retryable()
        .hint("look at the address, or bring the file yourself and name that")
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    /// Answers one request after the other, by its path.
    async fn server() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 1024];
                let read = stream.read(&mut request).await.unwrap_or_default();
                let request = String::from_utf8_lossy(&request[..read]).into_owned();
                let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
                let answer = match path.as_str() {
                    "/file" => "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello".to_owned(),
                    "/moved" => {
                        "HTTP/1.1 302 Found\r\nlocation: /file\r\ncontent-length: 0\r\n\r\n".to_owned()
                    }
                    "/down" => {
                        "HTTP/1.1 302 Found\r\nlocation: /plain\r\ncontent-length: 0\r\n\r\n".to_owned()
                    }
                    "/round" => {
                        "HTTP/1.1 302 Found\r\nlocation: /round\r\ncontent-length: 0\r\n\r\n".to_owned()
                    }
                    "/said" => "HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n".to_owned(),
                    "/unsaid" => {
                        format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{}", "x".repeat(3 << 20))
                    }
                    _ => "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_owned(),
                };
                let _gone = stream.write_all(answer.as_bytes()).await;
            }
        });
        format!("http://{address}")
    }

    #[tokio::test]
    async fn a_file_comes_whole_or_not_at_all() {
        let server = server().await;
        let client = Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .tls_backend_preconfigured(tls::for_web().unwrap())
            .build()
            .unwrap();
        let get = async |path: &str| {
            // Here `/plain` stands for what is not protected.
            let may = |url: &Url| url.path() != "/plain";
            fetch(&client, &format!("{server}{path}"), 2 << 20, may).await
        };
        assert_eq!(get("/file").await.unwrap(), b"hello");
        assert_eq!(get("/moved").await.unwrap(), b"hello");
        for (path, code) in [
            ("/down", "download_address"),
            ("/round", "download_failed"),
            ("/said", "download_large"),
            ("/unsaid", "download_large"),
            ("/none", "download_failed"),
        ] {
            assert_eq!(get(path).await.unwrap_err().code, code, "{path}");
        }
    }

    #[tokio::test]
    async fn only_a_protected_address_is_asked() {
        for address in ["http://127.0.0.1:1/x.bundle", "ftp://127.0.0.1/x", "file:///etc/passwd", "https//x"]
        {
            assert_eq!(download(address, 1).await.unwrap_err().code, "download_address", "{address}");
        }
    }
}

//! The two client libraries, as far as these tests need them: one small face each.

use std::net::SocketAddr;

use reqwest::{Response, header};
use suppaftp::types::FileType;
use suppaftp::{FtpError, FtpResult, tokio::AsyncFtpStream};
use support::Served;
use tokio::io::AsyncReadExt;

/// What a front end said to one question, in words that both share.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer<T> {
    Yes(T),
    Missing,
    Refused,
}

pub(crate) struct HttpClient {
    client: reqwest::Client,
    address: SocketAddr,
}

pub(crate) struct FtpClient {
    stream: AsyncFtpStream,
}

impl HttpClient {
    pub(crate) fn new(served: &Served) -> Self {
        // The first test of a process sets it for all.
        _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { client, address: served.http.address }
    }

    pub(crate) async fn get(&self, path: &[u8], range: Option<&str>) -> Response {
        let url = format!("http://{}{}", self.address, escape(path));
        let mut request = self.client.get(url);
        if let Some(range) = range {
            request = request.header(header::RANGE, range);
        }
        request.send().await.unwrap()
    }

    pub(crate) async fn read(&self, path: &[u8]) -> Answer<Vec<u8>> {
        let response = self.get(path, None).await;
        match response.status().as_u16() {
            200 => Answer::Yes(response.bytes().await.unwrap().to_vec()),
            404 => Answer::Missing,
            _ => Answer::Refused,
        }
    }

    /// Reads from `offset` to the end.
    pub(crate) async fn read_from(&self, path: &[u8], offset: usize) -> Vec<u8> {
        let response = self.get(path, Some(&format!("bytes={offset}-"))).await;
        assert_eq!(response.status().as_u16(), 206);
        response.bytes().await.unwrap().to_vec()
    }

    /// Length and time of the last change, in seconds since 1970.
    pub(crate) async fn describe(&self, path: &[u8]) -> (u64, i64) {
        let url = format!("http://{}{}", self.address, escape(path));
        let response = self.client.head(url).send().await.unwrap();
        assert_eq!(response.status().as_u16(), 200);
        let text = |name| response.headers()[name].to_str().unwrap().to_owned();
        let modified = httpdate::parse_http_date(&text("last-modified")).unwrap();
        let seconds = modified.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        (text("content-length").parse().unwrap(), i64::try_from(seconds).unwrap())
    }

    /// The names that the listing of a folder links to, percent-decoded, `/` at the end of a folder's.
    pub(crate) async fn list(&self, path: &[u8]) -> Vec<Vec<u8>> {
        let response = self.get(path, None).await;
        assert_eq!(response.status().as_u16(), 200, "listing of {}", path.escape_ascii());
        let page = response.text().await.unwrap();
        let mut names: Vec<_> = page
            .split("href=\"")
            .skip(1)
            .map(|rest| unescape(rest.split('"').next().unwrap()))
            .filter(|name| !name.starts_with(b"../") && name != b"./")
            .map(|name| name.strip_prefix(b"./").map_or(name.clone(), <[u8]>::to_vec))
            .collect();
        names.sort();
        names
    }
}

impl FtpClient {
    pub(crate) async fn new(served: &Served) -> Self {
        let mut stream = AsyncFtpStream::connect(served.ftp.address).await.unwrap();
        stream.login("anonymous", "tests@").await.unwrap();
        stream.transfer_type(FileType::Binary).await.unwrap();
        Self { stream }
    }

    pub(crate) async fn read(&mut self, path: &str) -> Answer<Vec<u8>> {
        match self.read_from(path, 0).await {
            Ok(bytes) => Answer::Yes(bytes),
            Err(FtpError::UnexpectedResponse(response)) if response.status.code() == 550 => Answer::Missing,
            Err(error) => panic!("RETR {path}: {error}"),
        }
    }

    pub(crate) async fn read_from(&mut self, path: &str, offset: usize) -> FtpResult<Vec<u8>> {
        if offset > 0 {
            self.stream.resume_transfer(offset).await?;
        }
        let mut data = self.stream.retr_as_stream(path).await?;
        let mut bytes = Vec::new();
        data.read_to_end(&mut bytes).await.unwrap();
        data.finish().await?;
        Ok(bytes)
    }

    /// Length and time of the last change, in seconds since 1970.
    pub(crate) async fn describe(&mut self, path: &str) -> (u64, i64) {
        let size = self.stream.size(path).await.unwrap();
        let modified = self.stream.mdtm(path).await.unwrap();
        (size as u64, modified.and_utc().timestamp())
    }

    /// The names in a folder by MLSD, `/` at the end of a folder's.
    pub(crate) async fn list(&mut self, path: &str) -> Vec<Vec<u8>> {
        let rows = self.stream.mlsd(Some(path)).await.unwrap();
        let mut names: Vec<_> = rows
            .iter()
            .filter(|row| !row.contains("type=cdir") && !row.contains("type=pdir"))
            .map(|row| {
                let (facts, name) = row.split_once(' ').unwrap();
                let slash = if facts.to_ascii_lowercase().contains("type=dir") { "/" } else { "" };
                format!("{name}{slash}").into_bytes()
            })
            .collect();
        names.sort();
        names
    }

    pub(crate) async fn noop(&mut self) {
        self.stream.noop().await.unwrap();
    }
}

/// Percent-encodes everything but what never needs it.
pub(crate) fn escape(path: &[u8]) -> String {
    path.iter()
        .map(|byte| match byte {
            b'/' | b'-' | b'.' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                char::from(*byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// Undoes HTML's `&amp;` and percent-encoding, in this order.
fn unescape(href: &str) -> Vec<u8> {
    let href = href.replace("&amp;", "&").replace("&#39;", "'").replace("&quot;", "\"");
    let mut bytes = href.bytes();
    let mut plain = Vec::new();
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            b'%' => {
                let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            byte => byte,
        });
    }
    plain
}

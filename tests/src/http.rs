//! The least HTTP client that talks to a program on this machine: HTTP/1.0, one request per
//! connection, the answer as text.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// The status and body of a GET; nothing while nobody listens.
#[must_use]
pub fn get(address: &str, path: &str, accept: &str) -> Option<(u16, String)> {
    exchange(
        address,
        &format!("GET {path} HTTP/1.0\r\nHost: {address}\r\nAccept: {accept}\r\n\r\n"),
    )
}

/// The status and body of a POST of JSON; nothing while nobody listens.
#[must_use]
pub fn post_json(address: &str, path: &str, body: &str) -> Option<(u16, String)> {
    let length = body.len();
    exchange(
        address,
        &format!(
            "POST {path} HTTP/1.0\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        ),
    )
}

fn exchange(address: &str, request: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}

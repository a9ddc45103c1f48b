//! What the robot and the application of WeCom share: answers and their classes, sending in parts,
//! and how a message becomes text that fits.

pub(super) mod classify;
pub(super) mod content;
pub(super) mod deliver;
mod halves;
mod hold;
mod pieces;
pub(super) mod reply;
mod shrink;
mod split;

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use reqwest::Url;

pub(super) use deliver::{Post, deliver, failed};
pub(super) use hold::Hold;

use super::http::{Call, HttpClient};
use super::redact;
use crate::config::{Secret, SecretUrl};
use reply::{Accepted, Trouble};

/// For one call, from connecting to the last byte.
pub(super) const CALL: Duration = Duration::from_secs(10);

/// Posts one JSON body and reads the answer.
pub(super) async fn post_json(
    http: &HttpClient,
    url: Url,
    body: Bytes,
) -> Result<Accepted, Trouble> {
    let json = HeaderValue::from_static("application/json");
    let answer = http.call(Call {
        method: Method::POST,
        url,
        headers: HeaderMap::from_iter([(header::CONTENT_TYPE, json)]),
        body,
        deadline: CALL,
    });
    reply::read(&answer.await?)
}

/// What of a receiver's settings must never be shown: its key or secret, and what the proxy wants.
pub(super) fn secrets(key: &Secret, proxy: Option<&SecretUrl>) -> Vec<Secret> {
    let of_proxy = proxy.map(|proxy| redact::login(proxy.expose()));
    std::iter::once(key.clone())
        .chain(of_proxy.into_iter().flatten())
        .collect()
}

#[cfg(test)]
pub(super) mod document;
#[cfg(test)]
mod tests;

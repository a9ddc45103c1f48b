//! The language of whoever looks at a page: what the address asks for, else what the browser
//! prefers. Without either it is the config's.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::header::ACCEPT_LANGUAGE;
use http::request::Parts;

use crate::render::Language;

/// The language that a request asks for; `None` if it asks for none that we know.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader(pub(super) Option<Language>);

impl<S: Sync> FromRequestParts<S> for Reader {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let pairs = parts.uri.query().unwrap_or_default().split('&');
        let asked = pairs.filter_map(|pair| pair.strip_prefix("lang="));
        let accepted = parts.headers.get(ACCEPT_LANGUAGE);
        let accepted = accepted.and_then(|accepted| accepted.to_str().ok());
        let preferred = || preferred(accepted.unwrap_or_default());
        Ok(Self(
            asked.filter_map(language_of).next_back().or_else(preferred),
        ))
    }
}

/// What a tag such as `zh-CN` or `en` means here, or a locale such as `zh_CN.UTF-8`.
#[must_use]
pub fn language_of(tag: &str) -> Option<Language> {
    match tag
        .split(['-', '_', '.'])
        .next()?
        .to_ascii_lowercase()
        .as_str()
    {
        "en" => Some(Language::English),
        "zh" => Some(Language::Chinese),
        _ => None,
    }
}

/// The first of the languages with the largest weight, as in `zh-CN,zh;q=0.9,en;q=0.8`.
fn preferred(accepted: &str) -> Option<Language> {
    let mut best = None;
    for range in accepted.split(',') {
        let (tag, weight) = range.split_once(';').unwrap_or((range, "q=1"));
        let weight = weight.trim().strip_prefix("q=");
        let weight: f32 = weight.and_then(|q| q.parse().ok()).unwrap_or(0.0);
        let better = best.is_none_or(|(most, _)| weight > most);
        if let Some(language) = language_of(tag.trim())
            && weight > 0.0
            && better
        {
            best = Some((weight, language));
        }
    }
    best.map(|(_, language)| language)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Language::{Chinese, English};

    #[tokio::test]
    async fn the_address_goes_before_the_browser() {
        for (address, accepted, wanted) in [
            ("/", "", None),
            ("/", "fr, de;q=0.5, *;q=0.1", None),
            ("/", "zh-CN,zh;q=0.9,en;q=0.8", Some(Chinese)),
            ("/", "fr;q=0.9, EN-gb;q=0.2, zh;q=0.1", Some(English)),
            ("/", "en;q=0, zh-TW;q=0.01", Some(Chinese)),
            ("/", "en;q=x", None),
            ("/?lang=zh", "en", Some(Chinese)),
            ("/?lang=zh_CN.UTF-8", "en", Some(Chinese)),
            ("/?lang=en", "zh-CN", Some(English)),
            ("/?a=b&lang=zh-CN&lang=", "en", Some(Chinese)),
            ("/?lang=fr", "zh", Some(Chinese)),
        ] {
            let request = http::Request::get(address).header(ACCEPT_LANGUAGE, accepted);
            let (mut parts, ()) = request.body(()).unwrap().into_parts();
            let Ok(reader) = Reader::from_request_parts(&mut parts, &()).await;
            assert_eq!(reader.0, wanted, "{address} {accepted}");
        }
    }
}

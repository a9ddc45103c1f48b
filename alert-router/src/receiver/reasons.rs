//! Why deliveries fail, by channel: what may stand in [`SendError::reason`](super::SendError), and so
//! in a label of metrics. A closed set, so that each series can stand at zero before it is needed.

/// Whatever the channel: a bug, a template, no answer within the deadline.
const ANY: [&str; 3] = ["panic", "render", "timeout"];
/// Of every call by HTTP.
const HTTP: [&str; 5] = [
    "answer_too_long",
    "connect",
    "http_status",
    "lost",
    "redirect",
];
const WECOM: [&str; 11] = [
    "auth",
    "busy",
    "concurrency",
    "config",
    "not_wecom",
    "rate_limited",
    "recipient",
    "refused",
    "token",
    "too_long",
    "unknown_code",
];
const EMAIL: [&str; 14] = [
    "ambiguous",
    "auth",
    "busy",
    "certificate",
    "config",
    "connection",
    "content",
    "no_tls",
    "rate_limited",
    "recipient",
    "temporary",
    "token",
    "too_large",
    "too_many_recipients",
];

/// All reasons for which a delivery by this channel may fail.
pub(crate) fn reasons(channel: &str) -> impl Iterator<Item = &'static str> {
    let own: [&[&str]; 2] = match channel {
        "email" => [&EMAIL, &[]],
        "wecom_bot" | "wecom_app" => [&HTTP, &WECOM],
        "webhook" => [&HTTP, &["auth"]],
        "inbox" => [&["store"], &[]],
        _ => [&[], &[]],
    };
    ANY.into_iter().chain(own.into_iter().flatten().copied())
}

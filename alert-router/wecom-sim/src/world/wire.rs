//! From a verdict to the bytes of an answer, spoilt on request. Apart because the shape of answers
//! (always HTTP 200, long `errmsg`) is the service's, whatever the rule that led to it.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{ErrCode, Fault, Receipt, Refused};

/// A request body may have so many bytes (assumed).
pub(crate) const MAX_BODY: usize = 8 * 1024 * 1024;

/// Interfaces that the real service has and the simulator has not.
const NOT_SIMULATED: [&str; 8] = [
    "/cgi-bin/webhook/upload_media",
    "/cgi-bin/message/recall",
    "/cgi-bin/message/update_template_card",
    "/cgi-bin/appchat/create",
    "/cgi-bin/appchat/send",
    "/cgi-bin/appchat/update",
    "/cgi-bin/media/upload",
    "/cgi-bin/getcallbackip",
];

/// What the server has to do with the connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// Send this after a while.
    Send { sent: Sent, after: Duration },
    /// Close without a byte.
    Close,
    /// Keep the client waiting for as long as it likes.
    Hang,
}

/// An HTTP answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

/// What the wording of one answer depends on.
pub(super) struct Wire {
    pub(super) now: Timestamp,
    pub(super) peer: IpAddr,
    pub(super) serial: u64,
    pub(super) varied: bool,
}

impl Wire {
    /// The answer of the service, spoilt by `fault` if there is one.
    pub(super) fn reply(&self, outcome: Result<Receipt, Refused>, fault: Option<&Fault>) -> Reply {
        let sent = match outcome {
            Ok(receipt) => self.accepted(receipt),
            Err(Refused::Code { code, reason }) => self.refused(code, &reason),
            Err(Refused::NotSimulated(what)) => return not_simulated(&what),
        };
        match fault {
            Some(fault) => spoil(sent, fault),
            None => now(sent),
        }
    }

    /// The answer in place of the service's, if `fault` keeps the call from it.
    pub(super) fn instead(&self, fault: &Fault) -> Option<Reply> {
        let reply = match fault {
            Fault::Errcode { code } => now(self.refused(*code, code.reason())),
            Fault::Status {
                status,
                retry_after,
            } => {
                let mut sent = html(*status, &format!("<h1>{status}</h1><hr>nginx"));
                sent.headers
                    .extend(retry_after.map(|wait| ("retry-after", wait.to_string())));
                now(sent)
            }
            Fault::Html => now(html(200, "<h1>Please log in to the network</h1>")),
            Fault::Redirect => {
                let mut sent = html(302, "<h1>Found</h1>");
                sent.headers
                    .push(("location", "https://elsewhere.invalid/cgi-bin/".into()));
                now(sent)
            }
            Fault::Close => Reply::Close,
            Fault::Hang => Reply::Hang,
            Fault::LoseReply | Fault::DeliverThenHang | Fault::Slow { .. } => return None,
            Fault::TruncatedJson | Fault::EmptyBody => return None,
            Fault::Bom | Fault::StringErrcode => return None,
        };
        Some(reply)
    }

    fn accepted(&self, receipt: Receipt) -> Sent {
        let mut errmsg = ErrCode::OK.reason().to_owned();
        if receipt.sloppy {
            errmsg.push_str(". Warning: wrong json format. ");
        }
        let mut fields = receipt.fields;
        if self.varied {
            errmsg = format!("fine-{}", self.serial);
            fields.retain(|_, value| value.as_str() != Some(""));
            fields.insert("x_unknown".into(), json!({ "serial": self.serial }));
        }
        json_body(ErrCode::OK, errmsg, fields)
    }

    fn refused(&self, code: ErrCode, reason: &str) -> Sent {
        let reason = if self.varied {
            "something was not as expected"
        } else {
            reason
        };
        let hint = format!("{:010}{:015}", self.now.as_second(), self.serial);
        let errmsg = format!(
            "{reason}, hint: [{hint}], from ip: {}, more info at \
             https://open.work.weixin.qq.com/devtool/query?e={code}",
            self.peer
        );
        let mut sent = json_body(code, errmsg.clone(), Map::new());
        sent.headers.push(("error-code", code.to_string()));
        sent.headers.push(("error-msg", header_text(&errmsg)));
        sent
    }
}

/// The answer to a path outside the service: no client may expect JSON everywhere.
pub(super) fn unknown_path(path: &str) -> Reply {
    match NOT_SIMULATED.iter().find(|known| **known == path) {
        Some(known) => not_simulated(known),
        None => now(html(404, "<h1>404 Not Found</h1><hr>nginx")),
    }
}

fn not_simulated(what: &str) -> Reply {
    now(html(
        501,
        &format!(
            "<h1>The simulator does not simulate {}</h1>",
            header_text(what)
        ),
    ))
}

fn spoil(mut sent: Sent, fault: &Fault) -> Reply {
    match fault {
        Fault::LoseReply => return Reply::Close,
        Fault::DeliverThenHang => return Reply::Hang,
        Fault::Slow { millis } => {
            return Reply::Send {
                sent,
                after: Duration::from_millis(*millis),
            };
        }
        Fault::TruncatedJson => sent.body.truncate(sent.body.len() / 2),
        Fault::EmptyBody => sent.body.clear(),
        Fault::Bom => {
            sent.body.splice(0..0, *b"\xef\xbb\xbf");
        }
        Fault::StringErrcode => sent.body = with_string_errcode(&sent.body),
        Fault::Errcode { .. } | Fault::Status { .. } | Fault::Html => {}
        Fault::Redirect | Fault::Close | Fault::Hang => {}
    }
    now(sent)
}

fn with_string_errcode(body: &[u8]) -> Vec<u8> {
    let mut answer: Value = serde_json::from_slice(body).expect("our own answer is JSON");
    answer["errcode"] = answer["errcode"].to_string().into();
    answer.to_string().into_bytes()
}

fn json_body(code: ErrCode, errmsg: String, fields: Map<String, Value>) -> Sent {
    let mut body = String::new();
    let errmsg = Value::from(errmsg);
    write!(body, r#"{{"errcode":{code},"errmsg":{errmsg}"#).expect("a string takes any write");
    for (name, value) in fields {
        write!(body, ",{}:{value}", Value::from(name)).expect("a string takes any write");
    }
    body.push('}');
    let headers = vec![("content-type", "application/json; charset=UTF-8".into())];
    Sent {
        status: 200,
        headers,
        body: body.into_bytes(),
    }
}

fn html(status: u16, body: &str) -> Sent {
    let body = format!("<!doctype html><html><body>{body}</body></html>");
    let headers = vec![("content-type", "text/html; charset=utf-8".into())];
    Sent {
        status,
        headers,
        body: body.into_bytes(),
    }
}

/// Printable ASCII only, and nothing that HTML reads: some of it was sent by the client.
fn header_text(text: &str) -> String {
    let plain = |c: char| (c.is_ascii_graphic() && !"<>&\"".contains(c)) || c == ' ';
    text.chars()
        .map(|c| if plain(c) { c } else { '?' })
        .collect()
}

fn now(sent: Sent) -> Reply {
    Reply::Send {
        sent,
        after: Duration::ZERO,
    }
}

//! What a reply of a mail server means: pure, so that every rule is a row of a table.
//!
//! The three digits decide, and of them the first. An enhanced code (`5.1.1`) refines what the
//! operator reads. A short table names providers whose replies mean something else.

use std::time::Duration;

use super::reply::Reply;
use crate::render::Phrase;

/// Where in the conversation something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// Name resolution and TCP.
    Connect,
    /// The TLS handshake.
    Tls,
    /// The server's greeting and its answer to EHLO.
    Greeting,
    /// STARTTLS.
    StartTls,
    /// AUTH.
    Auth,
    /// MAIL FROM.
    Mail,
    /// RCPT TO.
    Rcpt,
    /// DATA.
    Data,
    /// The text of the mail.
    Text,
    /// After the final dot, when the server may have taken the message.
    Dot,
}

/// What to do about a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Go on.
    Accepted,
    /// Try again, not before `wait`.
    Later {
        /// The least time until then, if the provider is known to want one.
        wait: Option<Duration>,
    },
    /// The account or address has sent too much: nothing leaves for `wait`.
    Limited {
        /// How long.
        wait: Duration,
    },
    /// Too many recipients in one transaction: the others go in the next one, at once.
    TooMany,
    /// It never will be taken as it is.
    Never,
    /// Too large.
    TooLarge,
    /// Somebody must change the config.
    Config,
}

/// A provider's reply that does not mean what the standard says.
pub(super) struct Exception {
    /// The relay's name ends so.
    pub(super) host: &'static str,
    /// The reply's code.
    pub(super) code: u16,
    /// In the reply's text, in lower case.
    pub(super) says: &'static str,
    means: Meaning,
}

const fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

const fn limited(wait: Duration) -> Meaning {
    Meaning::Limited { wait }
}

const fn later(wait: Duration) -> Meaning {
    Meaning::Later { wait: Some(wait) }
}

/// Texts that providers publish or that users have reported; the first fitting row holds.
#[rustfmt::skip]
pub(super) const EXCEPTIONS: [Exception; 21] = [
    Exception { host: "qq.com", code: 550, says: "frequency limited", means: limited(minutes(10)) },
    Exception { host: "qq.com", code: 550, says: "connection denied", means: limited(minutes(10)) },
    Exception { host: "qq.com", code: 550, says: "\"from\" header", means: Meaning::Config },
    Exception { host: "qq.com", code: 501, says: "same as authorization", means: Meaning::Config },
    Exception { host: "163.com", code: 550, says: "mi:nhd", means: Meaning::Config },
    Exception { host: "163.com", code: 553, says: "must equal", means: Meaning::Config },
    Exception { host: "163.com", code: 451, says: "mi:sfq", means: limited(minutes(15)) },
    Exception { host: "163.com", code: 451, says: "dt:spm", means: later(minutes(2)) },
    Exception { host: "163.com", code: 421, says: "hl:", means: limited(minutes(1)) },
    Exception { host: "126.com", code: 550, says: "mi:nhd", means: Meaning::Config },
    Exception { host: "126.com", code: 553, says: "must equal", means: Meaning::Config },
    Exception { host: "126.com", code: 451, says: "mi:sfq", means: limited(minutes(15)) },
    Exception { host: "126.com", code: 451, says: "dt:spm", means: later(minutes(2)) },
    Exception { host: "126.com", code: 421, says: "hl:", means: limited(minutes(1)) },
    Exception { host: "smtpdm.aliyun.com", code: 436, says: "", means: Meaning::Config },
    Exception { host: "smtpdm.aliyun.com", code: 552, says: "quota", means: limited(minutes(60)) },
    Exception { host: "amazonaws.com", code: 454, says: "sending rate", means: limited(Duration::from_secs(1)) },
    Exception { host: "amazonaws.com", code: 454, says: "daily message quota", means: limited(minutes(60)) },
    Exception { host: "gmail.com", code: 550, says: "5.4.5", means: limited(minutes(60)) },
    Exception { host: "gmail.com", code: 450, says: "4.2.1", means: limited(minutes(10)) },
    Exception { host: "office365.com", code: 550, says: "5.7.30", means: Meaning::Config },
];

/// Providers that count repeated attempts against the sender: nothing is repeated sooner.
pub(super) const PATIENT: [(&str, Duration); 5] = [
    ("qq.com", minutes(1)),
    ("163.com", minutes(1)),
    ("126.com", minutes(1)),
    ("aliyun.com", minutes(1)),
    ("gmail.com", minutes(1)),
];

/// How long greylisting wants a sender to wait.
const GREYLISTED: Duration = minutes(5);

/// What `reply` to `step` means when the relay `host` says it.
pub(super) fn meaning(host: &str, step: Step, reply: &Reply) -> Meaning {
    let text = reply.text.to_ascii_lowercase();
    let fits = |row: &&Exception| {
        is_under(host, row.host) && row.code == reply.code && text.contains(row.says)
    };
    if let Some(row) = EXCEPTIONS.iter().find(fits) {
        return row.means;
    }
    match reply.code {
        354 if step == Step::Data => Meaning::Accepted,
        200..=299 if step != Step::Data => Meaning::Accepted,
        452 | 552 if step == Step::Rcpt && is_too_many(&text) => Meaning::TooMany,
        500..=599 => permanent(step, reply.code, &text),
        // 4yz, and whatever a confused server says that is neither yes nor no.
        _ => Meaning::Later {
            wait: patience(host, step, &text),
        },
    }
}

fn permanent(step: Step, code: u16, text: &str) -> Meaning {
    match step {
        Step::Connect | Step::Tls | Step::Greeting | Step::StartTls | Step::Auth => Meaning::Config,
        Step::Mail if code == 552 || text.contains("5.3.4") => Meaning::TooLarge,
        Step::Mail => Meaning::Config,
        Step::Rcpt if code == 530 => Meaning::Config,
        Step::Data | Step::Text | Step::Dot if code == 552 || text.contains("5.3.4") => {
            Meaning::TooLarge
        }
        Step::Rcpt | Step::Data | Step::Text | Step::Dot => Meaning::Never,
    }
}

/// The least wait that makes sense after a refusal that may pass.
fn patience(host: &str, step: Step, text: &str) -> Option<Duration> {
    let grey = step == Step::Rcpt && (text.contains("greylist") || text.contains("4.7.1"));
    let provider = PATIENT
        .iter()
        .find(|(suffix, _)| is_under(host, suffix))
        .map(|(_, wait)| *wait);
    provider.max(grey.then_some(GREYLISTED))
}

fn is_too_many(text: &str) -> bool {
    ["4.5.3", "5.5.3", "too many recipients"]
        .iter()
        .any(|sign| text.contains(sign))
}

/// Whether `host` is `domain` or lies below it.
fn is_under(host: &str, domain: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    host.strip_suffix(domain)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// What to do about a mail that is too large.
pub(super) const TOO_LARGE: Phrase =
    Phrase::fixed("raise the relay's limit", "请调高中继服务器的邮件大小上限");

/// What an operator can do about a refusal, where the text of the server does not say it. `means`:
/// what the reply means there.
pub(super) fn fix(step: Step, means: Meaning, reply: &Reply) -> Option<Phrase> {
    let fix = match (means, step) {
        (
            Meaning::Accepted | Meaning::Later { .. } | Meaning::Limited { .. } | Meaning::TooMany,
            _,
        ) => return None,
        (Meaning::TooLarge, _) => TOO_LARGE,
        (Meaning::Config, _) => return fix_config(step, reply),
        (Meaning::Never, Step::Rcpt) if reply.text.contains("5.7.") => Phrase::fixed(
            "the relay's policy refuses this recipient: allow relaying, or authenticate",
            "中继服务器的策略拒绝该收件人：请允许转发，或进行身份验证",
        ),
        (Meaning::Never, Step::Rcpt) => {
            Phrase::fixed("check the address in to", "请检查 to 中的地址")
        }
        (Meaning::Never, _) => Phrase::fixed(
            "the relay refuses the content: see its answer",
            "中继服务器拒绝了邮件内容：请看它的应答",
        ),
    };
    Some(fix)
}

fn fix_config(step: Step, reply: &Reply) -> Option<Phrase> {
    let fix = match (step, reply.code) {
        (_, 530) => Phrase::fixed(
            "set auth_username and auth_password",
            "请设置 auth_username 和 auth_password",
        ),
        (Step::Auth, 534) => Phrase::fixed(
            "create an app password for this account and use it as auth_password",
            "请为该账号创建应用专用密码，并作为 auth_password",
        ),
        (_, _) if reply.text.contains("5.7.30") => Phrase::fixed(
            "this provider has switched passwords off; use a relay that accepts them",
            "该服务商已停用密码登录；请改用接受密码的中继服务器",
        ),
        (Step::Auth, _) => Phrase::fixed(
            "check auth_username and auth_password; many providers want an authorisation code or app password",
            "请检查 auth_username 和 auth_password；许多服务商要求使用授权码或应用专用密码",
        ),
        (Step::Greeting, _) => Phrase::fixed(
            "check smarthost, and set hello to this machine's full name",
            "请检查 smarthost，并把 hello 设为本机的完整域名",
        ),
        (Step::StartTls, _) => Phrase::fixed(
            "use port 465, or ask the relay's operator why it offers STARTTLS and refuses it",
            "请使用 465 端口，或询问中继服务器的管理员：为何提供 STARTTLS 却拒绝它",
        ),
        // After the login whatever is wrong with the config is the sender.
        (Step::Mail | Step::Rcpt | Step::Data | Step::Text | Step::Dot, _) => Phrase::fixed(
            "make from and envelope_from an address that this account may send as",
            "from 和 envelope_from 必须是该账号有权使用的发件地址",
        ),
        (Step::Connect | Step::Tls, _) => return None,
    };
    Some(fix)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const LATER: Meaning = Meaning::Later { wait: None };

    fn check(host: &str, cases: &[(Step, u16, &str, Meaning)]) {
        for (step, code, text, want) in cases {
            let reply = Reply {
                code: *code,
                text: (*text).to_owned(),
            };
            assert_eq!(
                meaning(host, *step, &reply),
                *want,
                "{host} {step:?} {code} {text}"
            );
        }
    }

    #[test]
    fn the_first_digit_decides_by_step() {
        use Meaning::{Accepted, Config, Never, TooLarge, TooMany};
        use Step::{Auth, Data, Dot, Greeting, Mail, Rcpt, StartTls};
        check(
            "mail.example.com",
            &[
                (Greeting, 220, "ready", Accepted),
                (Greeting, 421, "busy", LATER),
                (Greeting, 554, "no service here", Config),
                (StartTls, 454, "TLS not available", LATER),
                (Auth, 235, "ok", Accepted),
                (Auth, 454, "4.7.0 temporary", LATER),
                (Auth, 535, "5.7.8 bad credentials", Config),
                (Auth, 534, "5.7.9 app password needed", Config),
                (Mail, 250, "", Accepted),
                (Mail, 451, "", LATER),
                (Mail, 552, "5.3.4 too big", TooLarge),
                (Mail, 553, "sender refused", Config),
                (Rcpt, 250, "", Accepted),
                (Rcpt, 251, "will forward", Accepted),
                (Rcpt, 252, "cannot verify", Accepted),
                (Rcpt, 450, "4.2.1 try later", LATER),
                (Rcpt, 452, "4.5.3 too many recipients", TooMany),
                (Rcpt, 552, "5.5.3 too many", TooMany),
                (Rcpt, 452, "4.2.2 mailbox full", LATER),
                (Rcpt, 550, "5.1.1 no such user", Never),
                (Rcpt, 554, "5.7.1 relay access denied", Never),
                (Rcpt, 530, "authentication required", Config),
                (Data, 354, "go on", Accepted),
                (Data, 250, "what", LATER),
                (Data, 451, "", LATER),
                (Data, 554, "no valid recipients", Never),
                (Dot, 250, "queued as 1", Accepted),
                (Dot, 354, "false success", LATER),
                (Dot, 451, "", LATER),
                (Dot, 552, "too large", TooLarge),
                (Dot, 554, "spam", Never),
                (Dot, 421, "shutting down", LATER),
                (Rcpt, 299, "unknown code of a known class", Accepted),
                (Rcpt, 599, "unknown code of a known class", Never),
            ],
        );
    }

    #[test]
    fn the_three_digits_win_over_the_enhanced_code() {
        check(
            "mail.example.com",
            &[
                (Step::Rcpt, 450, "5.1.1 odd", LATER),
                (Step::Rcpt, 550, "4.2.1 odd", Meaning::Never),
            ],
        );
    }

    #[test]
    fn greylisting_is_given_the_time_that_it_wants() {
        check(
            "mail.example.com",
            &[
                (
                    Step::Rcpt,
                    451,
                    "4.7.1 Greylisted, try again",
                    later(minutes(5)),
                ),
                (Step::Rcpt, 450, "greylisting in action", later(minutes(5))),
            ],
        );
    }

    #[test]
    fn known_providers_mean_something_else() {
        check(
            "smtp.exmail.qq.com",
            &[
                (
                    Step::Greeting,
                    550,
                    "Ip frequency limited",
                    limited(minutes(10)),
                ),
                (
                    Step::Dot,
                    550,
                    "The \"From\" header is missing or invalid",
                    Meaning::Config,
                ),
                (
                    Step::Mail,
                    501,
                    "mail from address must be same as authorization user",
                    Meaning::Config,
                ),
                (Step::Rcpt, 450, "busy", later(minutes(1))),
            ],
        );
        check(
            "smtp.163.com",
            &[
                (Step::Mail, 451, "MI:SFQ too many", limited(minutes(15))),
                (Step::Dot, 451, "DT:SPM please try again", later(minutes(2))),
                (Step::Dot, 554, "DT:SPM", Meaning::Never),
                (Step::Greeting, 421, "HL:ICC", limited(minutes(1))),
            ],
        );
        check(
            "smtpdm.aliyun.com",
            &[(Step::Mail, 436, "", Meaning::Config)],
        );
        check(
            "email-smtp.eu-west-1.amazonaws.com",
            &[
                (
                    Step::Dot,
                    454,
                    "Throttling failure: Maximum sending rate exceeded.",
                    limited(Duration::from_secs(1)),
                ),
                (
                    Step::Dot,
                    454,
                    "Throttling failure: Daily message quota exceeded.",
                    limited(minutes(60)),
                ),
            ],
        );
        check(
            "smtp.gmail.com",
            &[(Step::Dot, 550, "5.4.5 Daily quota", limited(minutes(60)))],
        );
        check(
            "smtp.office365.com",
            &[(
                Step::Auth,
                550,
                "5.7.30 Basic authentication",
                Meaning::Config,
            )],
        );
    }

    #[test]
    fn what_to_do_follows_from_what_a_reply_means() {
        for (host, step, code, text, wanted) in [
            ("mx.example.com", Step::Rcpt, 530, "", "set auth_username"),
            ("mx.example.com", Step::Mail, 530, "", "set auth_username"),
            (
                "mx.example.com",
                Step::Mail,
                552,
                "",
                "raise the relay's limit",
            ),
            (
                "mx.example.com",
                Step::Dot,
                554,
                "5.3.4",
                "raise the relay's limit",
            ),
            (
                "mx.example.com",
                Step::Dot,
                554,
                "",
                "the relay refuses the content",
            ),
            ("mx.example.com", Step::StartTls, 502, "", "use port 465"),
            ("mx.example.com", Step::Rcpt, 450, "", ""),
            (
                "smtp.qq.com",
                Step::Greeting,
                550,
                "Ip frequency limited",
                "",
            ),
            (
                "smtp.qq.com",
                Step::Dot,
                550,
                "The \"From\" header",
                "make from",
            ),
            (
                "smtp.office365.com",
                Step::Dot,
                550,
                "5.7.30",
                "this provider has",
            ),
        ] {
            let text = text.to_owned();
            let reply = Reply { code, text };
            let found = fix(step, meaning(host, step, &reply), &reply);
            let found = found.map(|fix| fix.to_string()).unwrap_or_default();
            assert!(found.starts_with(wanted), "{step:?} {code}: {found}");
            assert_eq!(
                found.is_empty(),
                wanted.is_empty(),
                "{step:?} {code}: {found}"
            );
        }
    }

    #[test]
    fn a_name_that_only_ends_alike_is_not_the_provider() {
        check(
            "smtp.notqq.com",
            &[(Step::Rcpt, 550, "Ip frequency limited", Meaning::Never)],
        );
        assert!(is_under("SMTP.QQ.com.", "qq.com") && is_under("qq.com", "qq.com"));
    }
}

//! The config file as types that cannot be wrong: parsed once at the border, with every problem
//! named by file, line, key and fix. Nothing here starts, connects or logs.

mod email;
mod receiver;
mod secret;
mod source;
mod webhook;
mod wecom;

pub use email::{Email, Recipients, Smarthost, SmtpAuth, SmtpTls, Thread, Trust};
pub use receiver::{Channel, Fallback, Integration, Receiver};
pub use secret::{Secret, SecretUrl};
pub use source::{Credential, Source};
pub use webhook::{HttpAuth, Webhook};
pub use wecom::{AppFormat, BotFormat, WECOM_API, WecomApp, WecomBot};

//! The service's error codes and their wording. Apart because the numbers are facts that change
//! for their own reasons.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An `errcode` of the service; 0 is success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ErrCode(pub i32);

/// The codes that the simulator answers by itself; a fault can answer any.
impl ErrCode {
    pub const OK: Self = Self(0);
    pub const BUSY: Self = Self(-1);
    pub const BAD_SECRET: Self = Self(40001);
    pub const BAD_MESSAGE_TYPE: Self = Self(40008);
    pub const BAD_CORP: Self = Self(40013);
    pub const INVALID_TOKEN: Self = Self(40014);
    pub const TOO_MANY_USERS: Self = Self(40032);
    pub const BAD_AGENT: Self = Self(40056);
    pub const INVALID_PARAMETER: Self = Self(40058);
    pub const MISSING_TOKEN: Self = Self(41001);
    pub const MISSING_CORP: Self = Self(41002);
    pub const MISSING_SECRET: Self = Self(41004);
    pub const TOKEN_EXPIRED: Self = Self(42001);
    pub const EMPTY_CONTENT: Self = Self(44004);
    pub const RATE_LIMIT: Self = Self(45009);
    pub const APP_DISABLED: Self = Self(50003);
    pub const IP_NOT_TRUSTED: Self = Self(60020);
    pub const NO_VALID_RECIPIENT: Self = Self(81013);
    pub const NO_RECIPIENT: Self = Self(82001);
    pub const TOO_MANY_PARTIES: Self = Self(82002);
    pub const TOO_MANY_TAGS: Self = Self(82003);
    pub const INVALID_WEBHOOK: Self = Self(93000);
    pub const BOT_DISABLED: Self = Self(93004);
    pub const BOT_NOT_IN_GROUP: Self = Self(93008);
    pub const FOREIGN_AGENT: Self = Self(301_002);
}

impl ErrCode {
    /// The service's wording, as seen in public logs and in its table of codes. A client must not
    /// read it: the service says that it may change.
    pub fn reason(self) -> &'static str {
        match self {
            Self::OK => "ok",
            Self::BUSY => "system busy",
            Self::BAD_SECRET => "invalid credential",
            Self::BAD_MESSAGE_TYPE => "invalid message type",
            Self::BAD_CORP => "invalid corpid",
            Self::INVALID_TOKEN => "invalid access_token",
            Self::TOO_MANY_USERS => "invalid user list, more than 1000",
            Self::BAD_AGENT => "invalid agentid",
            Self::INVALID_PARAMETER => "invalid Request Parameter",
            Self::MISSING_TOKEN => "access_token missing",
            Self::MISSING_CORP => "corpid missing",
            Self::MISSING_SECRET => "corpsecret missing",
            Self::TOKEN_EXPIRED => "access_token expired",
            Self::EMPTY_CONTENT => "empty content",
            Self::RATE_LIMIT => "api freq out of limit",
            Self::APP_DISABLED => "app is disabled",
            Self::IP_NOT_TRUSTED => "not allow to access from your ip",
            Self::NO_VALID_RECIPIENT => "all touser & toparty & totag invalid",
            Self::NO_RECIPIENT => "touser & toparty & totag are all empty",
            Self::TOO_MANY_PARTIES => "invalid party list, more than 100",
            Self::TOO_MANY_TAGS => "invalid tag list, more than 100",
            Self::INVALID_WEBHOOK => "invalid webhook url",
            Self::BOT_DISABLED => "bot is disabled",
            Self::BOT_NOT_IN_GROUP => "bot is not in the group",
            Self::FOREIGN_AGENT => "agentid belongs to another app",
            Self(45033) => "api concurrent out of limit",
            Self(_) => "error",
        }
    }
}

impl fmt::Display for ErrCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

//! What providers are known to take, for accounts whose config says nothing: a little less than
//! they publish. Quotas that grow with an account, or that nobody publishes, are not here: their
//! replies tell, see `classify`.

use std::time::Duration;

use crate::config;
use crate::receiver::Window;

struct Provider {
    host: &'static str,
    /// The account's name ends so.
    user: &'static str,
    /// For mails to one address.
    address: Option<Window>,
    /// For all mails of an account.
    account: Window,
}

const DAY: u64 = 24 * 3600;

const fn window(messages: u32, seconds: u64) -> Window {
    Window {
        messages,
        per: Duration::from_secs(seconds),
    }
}

/// The first row that fits holds.
#[rustfmt::skip]
const PROVIDERS: [Provider; 4] = [
    Provider { host: "smtpdm.aliyun.com", user: "", address: Some(window(45, 300)), account: window(4500, 180) },
    Provider { host: "smtp.qcloudmail.com", user: "", address: Some(window(9, 3600)), account: window(18, 1) },
    Provider { host: "smtp.gmail.com", user: "@gmail.com", address: None, account: window(450, DAY) },
    Provider { host: "smtp.gmail.com", user: "", address: None, account: window(1800, DAY) },
];

/// The windows of each address: the config's, and the provider's.
pub(super) fn of_address(email: &config::Email) -> Vec<Window> {
    let hourly = window(email.hourly_limit, 3600);
    let known = provider(email).and_then(|provider| provider.address);
    std::iter::once(hourly).chain(known).collect()
}

/// The windows of the account: the config's, else the provider's.
pub(super) fn of_account(email: &config::Email) -> Vec<Window> {
    let said = email.account_limits.as_ref();
    let said = said.map(|limits| {
        limits.iter().map(|limit| Window {
            messages: limit.mails,
            per: limit.per,
        })
    });
    match said {
        Some(limits) => limits.collect(),
        None => provider(email)
            .map(|known| known.account)
            .into_iter()
            .collect(),
    }
}

fn provider(email: &config::Email) -> Option<&'static Provider> {
    let host = email.smarthost.host.to_ascii_lowercase();
    let user = email.auth.as_ref().map_or("", |auth| &auth.username);
    let user = user.to_ascii_lowercase();
    PROVIDERS
        .iter()
        .find(|known| known.host == host && user.ends_with(known.user))
}

//! The access token of an application: fetched once for everybody, renewed early, dropped when
//! WeCom says so. Apart, because getting this wrong gets the whole address banned for an hour.

use std::sync::Arc;
use std::time::Duration;

use alert_engine::Timestamp;
use bytes::Bytes;
use http::{HeaderMap, Method};
use reqwest::Url;
use tokio::sync::Mutex;

use crate::clock::Clock;
use crate::config::Secret;
use crate::receiver::http::{Call, HttpClient};
use crate::receiver::wecom::classify::{Class, classify};
use crate::receiver::wecom::reply::{Accepted, Trouble, read};
use crate::receiver::wecom::{CALL, Hold};

/// After a refusal that only a person can heal, `gettoken` rests for so long.
const REST: Duration = Duration::from_secs(10 * 60);
/// A token is used for so long at least, whatever WeCom says or leaves out of its life.
const SHORTEST: Duration = Duration::from_secs(30);

/// What an application needs to get its token.
pub(super) struct Tokens {
    http: HttpClient,
    clock: Arc<dyn Clock>,
    /// `gettoken` with its query.
    url: Url,
    hold: Hold,
    state: Mutex<State>,
}

/// A token that may be used.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Token(Secret);

enum State {
    /// None yet, or dropped.
    Empty,
    /// One that is good until it is to be renewed.
    Good { token: Token, renew_at: Timestamp },
    /// Not fetched; those who asked before that instant do not try again themselves.
    Failed { why: String, at: Timestamp },
    /// Refused; nobody calls until then.
    Refused {
        code: i64,
        why: String,
        until: Timestamp,
    },
}

impl Tokens {
    /// `url` is that of `gettoken` with its query. Fetches nothing yet.
    pub(super) fn new(http: HttpClient, clock: Arc<dyn Clock>, url: Url) -> Self {
        Self {
            http,
            clock,
            url,
            hold: Hold::default(),
            state: Mutex::new(State::Empty),
        }
    }

    /// The token: the one at hand, or a new one. Callers that come meanwhile wait for the same, and
    /// share its failure.
    pub(super) async fn get(&self) -> Result<Token, Trouble> {
        let asked = self.clock.now();
        let mut state = self.state.lock().await;
        let now = self.clock.now();
        match &*state {
            State::Good { token, renew_at } if now < *renew_at => return Ok(token.clone()),
            State::Failed { why, at } if asked < *at => {
                return Err(Trouble::TokenLater(why.clone()));
            }
            State::Refused { code, why, until } if now < *until => {
                let (code, why) = (*code, why.clone());
                return Err(Trouble::NoToken { code, why });
            }
            State::Empty | State::Good { .. } | State::Failed { .. } | State::Refused { .. } => {}
        }
        self.hold.check(now)?;
        let fetched = self.fetch().await;
        let now = self.clock.now();
        self.hold.note(&fetched, now);
        let (next, answer) = settle(fetched, now);
        *state = next;
        answer
    }

    /// Forgets `used`, unless somebody has renewed it already.
    pub(super) async fn drop_used(&self, used: &Token) {
        let mut state = self.state.lock().await;
        if matches!(&*state, State::Good { token, .. } if token == used) {
            *state = State::Empty;
        }
    }

    async fn fetch(&self) -> Result<Accepted, Trouble> {
        let answer = self.http.call(Call {
            method: Method::GET,
            url: self.url.clone(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            deadline: CALL,
        });
        read(&answer.await?)
    }
}

impl Token {
    /// For the query of a call.
    pub(super) fn expose(&self) -> &str {
        self.0.expose()
    }
}

/// What is known after a fetch, and what its caller is told.
fn settle(fetched: Result<Accepted, Trouble>, now: Timestamp) -> (State, Result<Token, Trouble>) {
    let trouble = match fetched.map(|accepted| accepted.token) {
        Ok(Some((token, lasts))) => {
            let token = Token(Secret::new(&token));
            let good = State::Good {
                token: token.clone(),
                renew_at: now + lasts.mul_f64(0.9).max(SHORTEST),
            };
            return (good, Ok(token));
        }
        Ok(None) => Trouble::NotWeCom("it has no access_token"),
        Err(Trouble::Code { code, errmsg: why }) if is_final(code) => {
            let refused = State::Refused {
                code,
                why: why.clone(),
                until: now + REST,
            };
            return (refused, Err(Trouble::NoToken { code, why }));
        }
        Err(trouble) => trouble,
    };
    let why = trouble.to_string();
    (State::Failed { why, at: now }, Err(trouble))
}

/// Whether `gettoken` will say the same until somebody changes a setting.
fn is_final(code: i64) -> bool {
    match classify(code) {
        Class::Token | Class::Recipients | Class::Refused | Class::Blocked(_) => true,
        Class::Busy | Class::Concurrent | Class::RateLimited | Class::TooLong | Class::Unknown => {
            false
        }
    }
}

//! A strict simulator of the WeCom (企业微信) message API: group bots and application messages.
//!
//! It knows the service only from its documentation and from public reports, never from the code
//! of a client, so that a client which passes here has been checked by somebody else's reading.
//! The rules are a pure state machine (`world`): a call and the time in, a reply out. Around it
//! stand a small HTTP server, a control interface and a page that shows what people would see.
//!
//! ```no_run
//! # async fn example() -> Result<(), wecom_sim::StartError> {
//! use std::time::Duration;
//! use wecom_sim::{Api, Config, Fault, Sim};
//!
//! let sim = Sim::start(Config::demo()).await?;
//! sim.fault(Fault::LoseReply.on(Api::WebhookSend));
//! // … let the client under test send to sim.api_url() …
//! sim.advance(Duration::from_secs(60));
//! assert!(sim.messages().is_empty());
//! # Ok(())
//! # }
//! ```

mod clock;
mod config;
mod control;
mod markup;
mod page;
mod server;
mod service;
mod sim;
mod world;

pub use clock::{Clock, Timestamp};
pub use config::{AgentId, App, Block, Bot, Config, Directory, Member, Rules, Secret, Standing};
pub use config::{TokenMode, Window};
pub use markup::Warning;
pub use sim::{Sim, StartError};
pub use world::{Api, Card, Content, ErrCode, Fate, Fault, FaultRule, Message, Refusal, ReplyFate};
pub use world::{Sender, Times};

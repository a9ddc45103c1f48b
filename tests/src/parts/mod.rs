//! Real parts for tests of the whole chain: each is a child process on loopback with its files in
//! a temporary folder, ready when its starter returns, and gone when its value is dropped, also
//! after a panic. Apart from the tests, so that a demonstration or a crash test can start the same.

mod alertmanager;
mod binary;
mod collector;
mod http;
mod jaeger;
mod mailbox;
mod mailserver;
mod place;
mod process;
mod programs;
mod prometheus;
mod router;
mod stopwatch;
mod target;
mod wait;

pub use alertmanager::{Alertmanager, Cluster};
pub use binary::binary;
pub use collector::Collector;
pub use http::{get_json, get_text, samples};
pub use jaeger::{Jaeger, Query, Span, Trace};
pub use mailbox::{Mail, threads};
pub use mailserver::Mailserver;
pub use place::{folder, free_port};
pub use process::{Process, Ready};
pub use programs::{Program, installed};
pub use prometheus::{Exemplar, Prometheus, exemplars_at};
pub use router::{Router, Webhook};
pub use stopwatch::{Stopwatch, tell};
pub use target::Target;
pub use wait::{DEADLINE, until};

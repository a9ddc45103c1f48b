//! The providers: every delivery that a router sends waits here until the world says how it ends,
//! or until whoever sent it gave up.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alert_router::message::{AlertLine, GroupNews, Line, Says};
use alert_router::receiver::{
    Delivery, Destination, Limits, Part, Receipt, Receiver, RenderError, Rendering, SendError,
    Window,
};
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

type Answer = Result<Receipt, SendError>;

/// All providers of one world.
#[derive(Default)]
pub(crate) struct Exchange(Mutex<State>);

#[derive(Default)]
struct State {
    calls: BTreeMap<u64, Call>,
    last: u64,
    news: Vec<News>,
}

/// A delivery that somebody sends.
pub(crate) struct Call {
    pub(crate) to: String,
    pub(crate) id: String,
    pub(crate) text: String,
    answer: Option<oneshot::Sender<Answer>>,
}

/// What happened to a call without the world's doing.
pub(crate) enum News {
    Began(u64),
    /// Whoever sent it waits no longer.
    Dropped(u64),
}

impl Exchange {
    /// Forgets everything, for the next world.
    pub(crate) fn reset(&self) {
        *self.lock() = State::default();
    }

    pub(crate) fn take_news(&self) -> Vec<News> {
        std::mem::take(&mut self.lock().news)
    }

    /// To whom, which delivery, and what it says.
    pub(crate) fn look(&self, call: u64) -> (String, String, String) {
        let state = self.lock();
        let call = &state.calls[&call];
        (call.to.clone(), call.id.clone(), call.text.clone())
    }

    /// Ends a call. Nobody may hear it any more: then nothing happens.
    pub(crate) fn answer(&self, call: u64, answer: Answer) {
        let sender = self
            .lock()
            .calls
            .get_mut(&call)
            .and_then(|c| c.answer.take());
        if let Some(sender) = sender {
            // It may have been dropped a moment ago.
            let _gone = sender.send(answer);
        }
    }

    fn open(&self, to: &str, delivery: &Delivery) -> (u64, oneshot::Receiver<Answer>) {
        let (answer, waits) = oneshot::channel();
        let mut state = self.lock();
        state.last += 1;
        let number = state.last;
        let texts = delivery.parts.iter().map(|part| &part.body[..]);
        let call = Call {
            to: to.to_owned(),
            id: delivery.id.to_string(),
            text: String::from_utf8(texts.collect::<Vec<_>>().concat()).unwrap(),
            answer: Some(answer),
        };
        state.calls.insert(number, call);
        state.news.push(News::Began(number));
        (number, waits)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Stands in for a receiver: its destination is the real one's, its text is for the reference
/// person, and it carries nothing.
pub(crate) struct Scripted {
    name: String,
    inner: Arc<dyn Receiver>,
    limits: Limits,
    exchange: Arc<Exchange>,
}

impl Scripted {
    pub(crate) fn of(inner: Arc<dyn Receiver>, exchange: &Arc<Exchange>) -> Self {
        let label = &inner.destination().label;
        let host = label.trim_start_matches("http://");
        let name = host.split('.').next().unwrap_or_default().to_owned();
        let window = Window {
            messages: 4,
            per: Duration::from_secs(60),
        };
        let limits = Limits {
            windows: if name == "team" {
                vec![window]
            } else {
                Vec::new()
            },
            shared: vec![inner.destination().key],
            deadline: Duration::from_secs(20),
            priority_exempt_hourly: false,
        };
        Self {
            name,
            inner,
            limits,
            exchange: Arc::clone(exchange),
        }
    }
}

/// Tells the world when whoever sent a call waits no longer.
struct Waits<'a> {
    exchange: &'a Exchange,
    call: u64,
    answered: bool,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        if !self.answered {
            self.exchange.lock().news.push(News::Dropped(self.call));
        }
    }
}

impl Receiver for Scripted {
    fn destination(&self) -> &Destination {
        self.inner.destination()
    }

    fn limits(&self) -> &Limits {
        &self.limits
    }

    fn render(&self, rendering: &Rendering<'_>) -> Result<Vec<Part>, RenderError> {
        let message = rendering.message;
        let mut text = format!("to {}\nmade {}\n", self.name, message.created.as_millis());
        let groups = match &message.says {
            Says::Group(news) => std::slice::from_ref(&**news),
            Says::Digest(news) => news,
            Says::Test => &[],
        };
        groups.iter().for_each(|news| write(&mut text, news));
        Ok(vec![Part {
            id: "1".to_owned(),
            body: text.into(),
            recipients: Vec::new(),
        }])
    }

    fn send<'a>(&'a self, delivery: &'a Delivery) -> BoxFuture<'a, Answer> {
        Box::pin(async move {
            let (call, answer) = self.exchange.open(&self.name, delivery);
            let mut waits = Waits {
                exchange: &self.exchange,
                call,
                answered: false,
            };
            let answer = answer.await.expect("the world answers, or lets us wait");
            waits.answered = true;
            answer
        })
    }
}

fn write(text: &mut String, news: &GroupNews) {
    use std::fmt::Write as _;
    writeln!(text, "group {} {:?}", news.group, news.reason).unwrap();
    for alert in &news.alerts {
        let kind = match alert.line {
            Line::New => "new",
            Line::Reopened => "again",
            Line::Over => "over",
            Line::Missed => "missed",
            Line::Firing => "firing",
        };
        let (name, start) = (name(alert), alert.starts_at.as_millis());
        writeln!(text, "{kind} {name}@{start}").unwrap();
    }
    if news.expired > 0 {
        writeln!(text, "expired {}", news.expired).unwrap();
    }
}

/// What makes one alert: our own troubles are also about a destination.
fn name(alert: &AlertLine) -> String {
    let get = |name| alert.labels.get(name).unwrap_or_default();
    let about = [get("alertname"), get("destination"), get("silent_source")];
    let about: Vec<&str> = about.into_iter().filter(|text| !text.is_empty()).collect();
    about.join("/").replace(['@', ' '], "_")
}

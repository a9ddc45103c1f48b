//! What is so, and how two Alertmanagers tell it: late, twice, out of order, and each what it knows.

use std::collections::BTreeSet;

use alert_engine::Labels;
use alert_router::store::{DocKey, Kind};
use serde_json::{Value, json};

use crate::dice::Dice;

/// How many Alertmanagers a source has.
pub(crate) const PEERS: usize = 2;
const VOICES: usize = 2;

/// What exists, and who knows what of it.
pub(crate) struct Upstream {
    pub(crate) alerts: Vec<Alert>,
    /// Per peer, what it knows of each alert's voices.
    known: [Vec<[Voice; VOICES]>; PEERS],
    last: i64,
}

/// One alert, seen by two Prometheus replicas.
pub(crate) struct Alert {
    pub(crate) name: &'static str,
    pub(crate) source: &'static str,
    pub(crate) service: &'static str,
    labels: Value,
    /// Under which key the store says where it lives.
    pub(crate) home: DocKey,
    pub(crate) voices: [Voice; VOICES],
}

/// What one replica sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Voice {
    Never,
    Firing { start: i64 },
    Ended { start: i64, end: i64 },
}

/// One webhook on its way.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    /// Which it was of all that were posted; 0 before that.
    pub(crate) number: u64,
    pub(crate) source: &'static str,
    pub(crate) body: String,
    pub(crate) says: Vec<Word>,
}

/// What a webhook says of one voice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) alert: usize,
    pub(crate) voice: usize,
    pub(crate) said: Voice,
}

impl Upstream {
    pub(crate) fn new(now: i64) -> Self {
        let alert = |name, source: &'static str, service, team, zone, severity| {
            let labels = json!({"alertname": name, "service": service, "team": team,
                                "zone": zone, "severity": severity});
            Alert {
                name,
                source,
                service,
                home: home(source, &labels),
                labels,
                voices: [Voice::Never; VOICES],
            }
        };
        let alerts = vec![
            alert("WebSlow", "default", "web", "red", "a", "warning"),
            alert("WebDown", "default", "web", "red", "b", "critical"),
            alert("ShopSlow", "default", "web", "blue", "a", "warning"),
            alert("DiskFull", "default", "db", "red", "a", "warning"),
            alert("LagHigh", "default", "db", "blue", "b", "critical"),
            alert("CartEmpty", "prod", "web", "red", "a", "warning"),
            alert("SlowQuery", "prod", "db", "blue", "b", "warning"),
        ];
        let known = [(); PEERS].map(|()| vec![[Voice::Never; VOICES]; alerts.len()]);
        Self {
            alerts,
            known,
            last: now,
        }
    }

    /// A voice of some alert fires or ends. Returns which, for the trace.
    pub(crate) fn change(&mut self, dice: &Dice, now: i64) -> String {
        // No two things happen at the same instant.
        self.last = now.max(self.last + 1);
        let at = self.last;
        let (a, v) = (dice.below(self.alerts.len()), dice.below(VOICES));
        let alert = &mut self.alerts[a];
        let voice = &mut alert.voices[v];
        *voice = match *voice {
            Voice::Never | Voice::Ended { .. } => Voice::Firing { start: at },
            Voice::Firing { start } => Voice::Ended { start, end: at },
        };
        format!("{} voice {v}: {voice:?}", alert.name)
    }

    /// Whether an alert fires, by any of its voices.
    pub(crate) fn fires(&self, alert: usize) -> bool {
        let mut voices = self.alerts[alert].voices.iter();
        voices.any(|voice| matches!(voice, Voice::Firing { .. }))
    }

    /// A webhook of one peer about some alerts, mostly with what is so now.
    pub(crate) fn post(&mut self, dice: &Dice, now: i64) -> Post {
        if dice.per_mille(15) {
            let body = "{\"alerts\": [{]".to_owned();
            return Post {
                number: 0,
                source: "default",
                body,
                says: Vec::new(),
            };
        }
        let peer = dice.below(PEERS);
        let first = dice.below(self.alerts.len());
        let source = self.alerts[first].source;
        let of_source = (0..self.alerts.len()).filter(|a| self.alerts[*a].source == source);
        let mut about: BTreeSet<usize> = of_source.filter(|_| dice.per_mille(350)).collect();
        about.insert(first);
        for alert in &about {
            if dice.per_mille(800) {
                self.known[peer][*alert] = self.alerts[*alert].voices;
            }
        }
        let mut says = self.words(peer, about);
        if says.is_empty() {
            // The end of something that nobody ever saw.
            says.push(Word {
                alert: first,
                voice: 0,
                said: Voice::Ended {
                    start: now - 1,
                    end: now,
                },
            });
        }
        self.webhook(source, says)
    }

    /// The whole truth of one source, as one peer tells it.
    pub(crate) fn truth(&mut self, peer: usize, source: &'static str) -> Option<Post> {
        let about: BTreeSet<usize> = (0..self.alerts.len())
            .filter(|alert| self.alerts[*alert].source == source)
            .collect();
        for alert in &about {
            self.known[peer][*alert] = self.alerts[*alert].voices;
        }
        let says = self.words(peer, about);
        (!says.is_empty()).then(|| self.webhook(source, says))
    }

    fn words(&self, peer: usize, about: BTreeSet<usize>) -> Vec<Word> {
        let words = about.into_iter().flat_map(|alert| {
            let voices = self.known[peer][alert].into_iter().enumerate();
            voices.map(move |(voice, said)| Word { alert, voice, said })
        });
        words.filter(|word| word.said != Voice::Never).collect()
    }

    fn webhook(&self, source: &'static str, says: Vec<Word>) -> Post {
        let alerts: Vec<Value> = says.iter().map(|word| self.alert(word)).collect();
        let body = json!({"version": "4", "receiver": "router", "status": "firing",
                          "externalURL": "http://am.test", "alerts": alerts});
        Post {
            number: 0,
            source,
            body: body.to_string(),
            says,
        }
    }

    fn alert(&self, word: &Word) -> Value {
        let mut labels = self.alerts[word.alert].labels.clone();
        labels["replica"] = format!("r{}", word.voice).into();
        let (status, start, end) = match word.said {
            Voice::Never => unreachable!("nobody speaks of what never fired"),
            Voice::Firing { start } => ("firing", start, "0001-01-01T00:00:00Z".to_owned()),
            Voice::Ended { start, end } => ("resolved", start, rfc3339(end)),
        };
        json!({"status": status, "labels": labels, "annotations": {"summary": "so it is"},
               "startsAt": rfc3339(start), "endsAt": end, "generatorURL": "http://prom.test/"})
    }
}

/// The source and the fingerprint.
fn home(source: &str, labels: &Value) -> DocKey {
    let pairs = labels.as_object().unwrap().iter();
    let labels: Labels = pairs
        .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
        .collect();
    let mut id = source.as_bytes().to_vec();
    id.extend_from_slice(&labels.fingerprint().0.to_be_bytes());
    DocKey {
        kind: Kind::Home,
        id: id.into(),
    }
}

fn rfc3339(millis: i64) -> String {
    jiff::Timestamp::from_millisecond(millis)
        .unwrap()
        .to_string()
}

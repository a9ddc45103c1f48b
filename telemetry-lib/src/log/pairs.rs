//! The key-values of a record of the crate `log`: `log::info!(user = 7; "…")`. Their keys are known only
//! while the service runs, and fields of `tracing` are declared: so all of them are one field.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::{self, Display, Write as _};
use std::sync::Arc;

use ::log::Record;
use ::log::kv::{self, Key, Value, VisitSource, VisitValue};
use tracing::Event;
use tracing::field::{Field, Visit};

use super::line::Scalar;
use super::source::is_record;
use crate::redact::{REDACTED, Redaction};

/// They are an error for `tracing` because that is the one value whose type a visitor can find again.
#[derive(Clone, Debug)]
pub(super) struct Pairs(Arc<[(String, Scalar)]>);

struct Found(Option<Pairs>);

struct Reading<'r> {
    redaction: &'r Redaction,
    /// Each with its place. Keys may come from a stranger, so none is looked for among all others.
    pairs: BTreeMap<String, (usize, Scalar)>,
}

#[derive(Default)]
struct Shown(Option<Scalar>);

impl Pairs {
    /// Formatted here, under no lock: a user's `Display` may do anything.
    pub(super) fn of(record: &Record<'_>, redaction: &Redaction) -> Option<Self> {
        let pairs = BTreeMap::new();
        let mut reading = Reading { redaction, pairs };
        // If a source gives up, what came before counts.
        let _ = record.key_values().visit(&mut reading);
        let mut pairs: Vec<_> = reading.pairs.into_iter().collect();
        pairs.sort_unstable_by_key(|(_, (place, _))| *place);
        let pairs = pairs.into_iter().map(|(key, (_, value))| (key, value));
        (pairs.len() > 0).then(|| Self(pairs.collect()))
    }

    /// Those that an event brings: none, unless it is a record's.
    pub(super) fn behind(event: &Event<'_>) -> Option<Self> {
        let mut found = Found(None);
        if is_record(event.metadata()) {
            event.record(&mut found);
        }
        found.0
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Scalar)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }
}

impl Visit for Found {
    fn record_error(&mut self, _: &Field, value: &(dyn Error + 'static)) {
        self.0 = value.downcast_ref().cloned();
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}

/// A later value of a key takes the place of the one before.
impl<'kvs> VisitSource<'kvs> for Reading<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        let value = if self.redaction.hides(key.as_str()) {
            Some(Scalar::Text(REDACTED.to_owned()))
        } else {
            let mut shown = Shown::default();
            // What cannot be shown is left out, and is no reason to lose the rest.
            let _ = value.visit(&mut shown);
            shown.0
        };
        let Some(value) = value else { return Ok(()) };
        let place = self.pairs.len();
        let known = self.pairs.entry(key.as_str().to_owned());
        // It keeps the place where its key came first.
        known.or_insert((place, Scalar::Bare(String::new()))).1 = value;
        Ok(())
    }
}

/// As fields of `tracing` are shown: no value is no field, and numbers of 128 bits are texts.
impl<'v> VisitValue<'v> for Shown {
    fn visit_any(&mut self, value: Value<'_>) -> Result<(), kv::Error> {
        let mut text = String::new();
        // `to_string` panics where a value says that it cannot be shown.
        let _ = write!(text, "{value}");
        self.0 = Some(Scalar::Text(text));
        Ok(())
    }

    fn visit_null(&mut self) -> Result<(), kv::Error> {
        Ok(())
    }

    fn visit_u64(&mut self, value: u64) -> Result<(), kv::Error> {
        self.0 = Some(Scalar::Bare(value.to_string()));
        Ok(())
    }

    fn visit_i64(&mut self, value: i64) -> Result<(), kv::Error> {
        self.0 = Some(Scalar::Bare(value.to_string()));
        Ok(())
    }

    fn visit_f64(&mut self, value: f64) -> Result<(), kv::Error> {
        self.0 = Some(Scalar::float(value));
        Ok(())
    }

    fn visit_bool(&mut self, value: bool) -> Result<(), kv::Error> {
        self.0 = Some(Scalar::Bare(value.to_string()));
        Ok(())
    }
}

impl Display for Pairs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Error for Pairs {}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use ::log::kv::ToValue;

    use super::super::records::tests::lines;
    use super::*;
    use crate::config::LogFormat;

    /// Shows a beginning, then says that it cannot.
    struct Half;

    impl Display for Half {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("half")?;
            Err(fmt::Error)
        }
    }

    /// A source that gives up after its pairs.
    struct Broken<'v>(&'v [(&'v str, Value<'v>)]);

    impl kv::Source for Broken<'_> {
        fn visit<'kvs>(&'kvs self, visitor: &mut dyn VisitSource<'kvs>) -> Result<(), kv::Error> {
            self.0.visit(visitor)?;
            Err(kv::Error::msg("no more"))
        }
    }

    /// The line of a record with these key-values.
    fn line(format: LogFormat, pairs: &dyn kv::Source) -> String {
        let mut said = lines("info", format, |logger| {
            let mut record = Record::builder();
            record.target("orders").key_values(pairs);
            ::log::Log::log(logger, &record.args(format_args!("said")).build());
        });
        assert_eq!(said.len(), 1, "{said:?}");
        let line = said.remove(0);
        line[line.find('Z').unwrap()..].to_owned()
    }

    #[test]
    fn the_line_of_a_record_is_that_of_an_event_with_such_fields() {
        let long = "\u{e9}".repeat(100_000);
        let pairs: &[(&str, Value<'_>)] = &[
            ("user", 7.to_value()),
            ("ok", true.to_value()),
            ("below", (-1).to_value()),
            ("ratio", 0.5.to_value()),
            ("none", f64::NAN.to_value()),
            ("huge", u128::MAX.to_value()),
            ("level", "mine".to_value()),
            ("text", "a\"b\n\u{1b}".to_value()),
            ("long", long.as_str().to_value()),
            ("shown", Value::from_display(&Ipv4Addr::LOCALHOST)),
            ("written", Value::from_debug(&Some("x"))),
            ("absent", None::<u64>.to_value()),
            ("db.password", "hunter2".to_value()),
        ];
        for format in [LogFormat::Json, LogFormat::Human] {
            let event = lines("info", format, |_| {
                tracing::info!(
                    target: "orders",
                    user = 7,
                    ok = true,
                    below = -1,
                    ratio = 0.5,
                    none = f64::NAN,
                    huge = u128::MAX,
                    level = "mine",
                    text = "a\"b\n\u{1b}",
                    long,
                    shown = %Ipv4Addr::LOCALHOST,
                    written = ?Some("x"),
                    absent = None::<u64>,
                    db.password = "hunter2",
                    "said"
                );
            });
            let record = line(format, &pairs);
            assert!(event[0].ends_with(&record), "{record}\n{event:?}");
            let hidden = record.contains("db.password") && !record.contains("hunter2");
            assert!(hidden, "{record}");
        }
    }

    #[test]
    fn of_a_key_that_comes_again_the_last_value_is_shown() {
        let pairs = [("a", 1), ("b", 2), ("a", 3)];
        let said = line(LogFormat::Human, &pairs);
        assert!(said.ends_with("said a=3 b=2"), "{said}");
    }

    /// They may be those of a document that a stranger has sent.
    #[test]
    fn many_keys_take_a_time_in_proportion_to_their_number() {
        let keys: Vec<String> = (0..300_000).map(|key| format!("{key:06}")).collect();
        let pairs: Vec<(&str, i32)> = keys.iter().map(|key| (key.as_str(), 1)).collect();
        let said = line(LogFormat::Human, &pairs);
        assert!(said.ends_with(" 299999=1"));
    }

    #[test]
    fn a_key_neither_takes_the_place_of_what_a_line_says_nor_forges_a_line() {
        let own = ["message", "trace_id", "log.target", "log.pairs"].map(|key| (key, "mine"));
        let said = line(LogFormat::Json, &own);
        let expected = r#""target":"orders","message":"said","field.message":"mine","field.trace_id":"mine","log.target":"mine","log.pairs":"mine"}"#;
        assert!(said.ends_with(expected), "{said}");
        let said = line(LogFormat::Json, &[("field.message", 1), ("message", 2)]);
        let ends = said.ends_with(r#","field.field.message":1,"field.message":2}"#);
        assert!(ends, "no name stands twice: {said}");
        let said = line(LogFormat::Human, &[("a\nb \u{202e}\u{1b}é", 1)]);
        assert!(said.ends_with("said a\\nb \\u{202e}\\u{1b}é=1"), "{said}");
    }

    #[test]
    fn what_cannot_be_shown_costs_itself() {
        let pairs = [
            ("half", Value::from_display(&Half)),
            ("whole", 1.to_value()),
        ];
        let said = line(LogFormat::Human, &Broken(&pairs));
        assert!(said.ends_with("said half=\"half\" whole=1"), "{said}");
    }
}

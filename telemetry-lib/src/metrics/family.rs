//! The series of a metric, found by their label values without a lock or an allocation, never more
//! than a cap. Series are only ever added, so a table of cells that are written once is enough; a
//! label that runs wild fills the table up and the rest goes to one overflow series.
//!
//! Strangers can make series, too: 33 of a route with the methods and the versions of HTTP alone. So
//! where labels tell how something ended, what was refused or given up takes at most half of the cap,
//! and all that did not fail seven eighths; and failures that still find no room have an overflow of
//! their own, so that no flood hides them from alerts.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use super::catalog::Desc;
use super::model::write_label;
use crate::notice::Notices;
use crate::text::hash;

/// The label of the series that takes what is beyond the cap.
const OVERFLOW_LABEL: &str = "otel_metric_overflow";
/// The label that tells a failure, and its value for those beyond the cap.
const ERROR_LABEL: &str = "error_type";
const ANY_ERROR: &str = "_OTHER";
const STATUS_LABEL: &str = "http_response_status_code";

/// All series of a metric. `V` is what one of them holds.
pub(super) struct Family<V> {
    desc: &'static Desc,
    make: fn() -> V,
    /// At most half of the slots are used, so that a search ends soon.
    slots: Box<[OnceLock<Entry<V>>]>,
    cap: usize,
    used: AtomicUsize,
    /// Places of these labels, if the metric has them.
    error: Option<usize>,
    status: Option<usize>,
    overflow: OnceLock<Entry<V>>,
    failed_overflow: OnceLock<Entry<V>>,
    overflowed: AtomicU64,
    notices: Notices,
}

/// How what a series counts has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// The caller did something wrong, or left.
    Refused,
    Served,
    Failed,
}

/// A series: its labels and what it holds.
pub(super) struct Entry<V> {
    values: Box<[Box<str>]>,
    /// As they stand between the braces of an exposition.
    pub(super) labels: Arc<str>,
    pub(super) value: Arc<V>,
}

impl<V> Family<V> {
    /// A family without series, of at most `cap` of them and one for the overflow.
    pub(super) fn new(desc: &'static Desc, cap: usize, make: fn() -> V, notices: Notices) -> Self {
        let cap = cap.max(1);
        let slots = (cap * 2).next_power_of_two();
        let label = |name| desc.labels.iter().position(|label| label.name == name);
        Self {
            desc,
            make,
            slots: (0..slots).map(|_| OnceLock::new()).collect(),
            cap,
            used: AtomicUsize::new(0),
            error: label(ERROR_LABEL),
            status: label(STATUS_LABEL),
            overflow: OnceLock::new(),
            failed_overflow: OnceLock::new(),
            overflowed: AtomicU64::new(0),
            notices,
        }
    }

    /// The series with these values, in the order of the declared labels; an empty value means
    /// that the label is absent.
    pub(super) fn series(&self, values: &[&str]) -> &Arc<V> {
        debug_assert_eq!(values.len(), self.desc.labels.len(), "{}", self.desc.name);
        let mask = self.slots.len() - 1;
        let mut place = hash(values) & mask;
        loop {
            let slot = &self.slots[place];
            match slot.get() {
                Some(entry) if entry.is(values) => return &entry.value,
                Some(_) => place = (place + 1) & mask,
                None if self.used.load(Relaxed) >= self.room(values) => return self.beyond(values),
                // Whoever was faster is looked at in the next round.
                None => drop(slot.set(self.entry(values)).map(|()| {
                    self.used.fetch_add(1, Relaxed);
                })),
            }
        }
    }

    /// All series until now, the overflows last.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry<V>> {
        let slots = self.slots.iter().filter_map(OnceLock::get);
        let overflows = [&self.overflow, &self.failed_overflow];
        slots.chain(overflows.into_iter().filter_map(OnceLock::get))
    }

    pub(super) fn desc(&self) -> &'static Desc {
        self.desc
    }

    /// Observations that went to the overflow.
    pub(super) fn overflowed(&self) -> u64 {
        self.overflowed.load(Relaxed)
    }

    /// How many series there may be before one with these values.
    fn room(&self, values: &[&str]) -> usize {
        match self.ended(values) {
            Some(Ended::Refused) => self.cap.div_ceil(2),
            Some(Ended::Served) => self.cap - self.cap / 8,
            Some(Ended::Failed) | None => self.cap,
        }
    }

    /// `None` if the labels do not tell.
    fn ended(&self, values: &[&str]) -> Option<Ended> {
        let status = self.status.map_or("", |at| values[at]);
        Some(match values[self.error?] {
            "cancelled" => Ended::Refused,
            "" if status.starts_with('4') => Ended::Refused,
            "" => Ended::Served,
            _ => Ended::Failed,
        })
    }

    fn beyond(&self, values: &[&str]) -> &Arc<V> {
        if self.overflowed.fetch_add(1, Relaxed) == 0 {
            self.notices.once(&format!("overflow {}", self.desc.name), || {
                let (label, different) = self.widest_label();
                format!(
                    "{} has reached {} of its {} series, further ones are counted together; its \
                     label {label} has {different} values",
                    self.desc.name,
                    self.room(values),
                    self.cap
                )
            });
        }
        let (overflow, error) = match self.ended(values) {
            Some(Ended::Failed) => (&self.failed_overflow, Some(ANY_ERROR)),
            Some(Ended::Refused | Ended::Served) | None => (&self.overflow, None),
        };
        let entry = overflow.get_or_init(|| {
            let mut labels = String::new();
            if let Some(error) = error {
                write_label(&mut labels, ERROR_LABEL, error);
            }
            write_label(&mut labels, OVERFLOW_LABEL, "true");
            Entry {
                values: Box::default(),
                labels: labels.into(),
                value: Arc::new((self.make)()),
            }
        });
        &entry.value
    }

    /// The label with the most different values: the one to look at.
    fn widest_label(&self) -> (&'static str, usize) {
        let entries: Vec<_> = self.slots.iter().filter_map(OnceLock::get).collect();
        let widths = self.desc.labels.iter().enumerate().map(|(index, label)| {
            let values: BTreeSet<_> = entries.iter().map(|entry| &entry.values[index]).collect();
            (label.name, values.len())
        });
        widths.max_by_key(|(_, values)| *values).unwrap_or_default()
    }

    fn entry(&self, values: &[&str]) -> Entry<V> {
        let mut labels = String::new();
        for (label, value) in self.desc.labels.iter().zip(values) {
            if !value.is_empty() {
                write_label(&mut labels, label.name, value);
            }
        }
        Entry {
            values: values.iter().map(|value| Box::from(*value)).collect(),
            labels: labels.into(),
            value: Arc::new((self.make)()),
        }
    }
}

impl<V> Entry<V> {
    fn is(&self, values: &[&str]) -> bool {
        self.values
            .iter()
            .map(|value| &**value)
            .eq(values.iter().copied())
    }
}

impl<V> fmt::Debug for Family<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Family")
            .field("name", &self.desc.name)
            .field("series", &self.used)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::catalog::{HTTP_SERVER_ACTIVE, HTTP_SERVER_DURATION};
    use super::super::instrument::Counter;
    use super::*;
    use crate::notice::tests::recorded;

    fn family(cap: usize) -> (Family<Counter>, Arc<std::sync::Mutex<Vec<String>>>) {
        let (notices, lines) = recorded();
        (
            Family::new(&HTTP_SERVER_ACTIVE, cap, Counter::default, notices),
            lines,
        )
    }

    #[test]
    fn the_same_values_are_the_same_series() {
        let (family, _) = family(10);
        for values in [
            ["GET", "http"],
            ["POST", "http"],
            ["GET", "http"],
            ["GET", ""],
        ] {
            family.series(&values).add_one();
        }
        let mut found: Vec<_> = family
            .entries()
            .map(|entry| (entry.labels.to_string(), entry.value.get()))
            .collect();
        found.sort();
        let expected = [
            ("http_request_method=\"GET\"", 1),
            ("http_request_method=\"GET\",url_scheme=\"http\"", 2),
            ("http_request_method=\"POST\",url_scheme=\"http\"", 1),
        ];
        assert_eq!(
            found,
            expected.map(|(labels, count)| (labels.to_owned(), count))
        );
    }

    #[test]
    fn f34_beyond_the_cap_everything_is_counted_in_one_series_and_the_label_is_named() {
        let (family, lines) = family(50);
        for user in 0..10_000 {
            family.series(&[&format!("user-{user}"), "http"]).add_one();
        }
        assert_eq!(family.entries().count(), 51);
        let total: u64 = family.entries().map(|entry| entry.value.get()).sum();
        assert_eq!((total, family.overflowed()), (10_000, 9_950));
        let overflow = family.entries().last().unwrap();
        assert_eq!(&*overflow.labels, "otel_metric_overflow=\"true\"");
        assert_eq!(overflow.value.get(), 9_950);
        let lines = lines.lock().unwrap();
        assert_eq!(
            *lines,
            [
                "http_server_active_requests has reached 50 of its 50 series, further ones are \
                 counted together; its label http_request_method has 50 values"
            ]
        );
    }

    #[test]
    fn f34_what_failed_has_room_of_its_own_and_is_told_as_failed_beyond_it() {
        let (notices, _) = recorded();
        let family = Family::new(&HTTP_SERVER_DURATION, 80, Counter::default, notices);
        let observe = |route: &str, status, error| {
            family
                .series(&["GET", "http", route, status, error, "1.1"])
                .add_one();
            family.entries().count()
        };
        let many = |status, error| {
            let observe = |_, at: i32| observe(&at.to_string(), status, error);
            (0..100).fold(0, observe)
        };
        // Half and one for the overflow, seven eighths, all and an overflow of its own.
        assert_eq!(many("404", ""), 41);
        assert_eq!(many("200", "cancelled"), 41);
        assert_eq!(many("200", ""), 71);
        assert_eq!(many("500", "500"), 82);
        assert_eq!(many("200", "io::Error"), 82);
        let overflows: Vec<_> = family.entries().skip(80).collect();
        let shown = |at: usize| (&*overflows[at].labels, overflows[at].value.get());
        assert_eq!(shown(0), ("otel_metric_overflow=\"true\"", 230));
        let failed = "error_type=\"_OTHER\",otel_metric_overflow=\"true\"";
        assert_eq!(shown(1), (failed, 190));
        assert_eq!(family.overflowed(), 420);
    }

    #[test]
    fn f34_a_known_series_is_still_found_when_the_table_is_full() {
        let (family, _) = family(2);
        for method in ["GET", "PUT", "PATCH", "GET", "PUT"] {
            family.series(&[method, "http"]).add_one();
        }
        assert_eq!(family.series(&["GET", "http"]).get(), 2);
        assert_eq!(family.overflowed(), 1);
    }

    #[test]
    fn threads_that_meet_in_a_new_series_share_it() {
        let (family, _) = family(1_000);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for number in 0..500 {
                        family.series(&[&number.to_string(), "http"]).add_one();
                    }
                });
            }
        });
        assert_eq!(family.entries().count(), 500);
        assert!(family.entries().all(|entry| entry.value.get() == 4));
    }

    #[test]
    fn finding_a_series_allocates_nothing() {
        let (family, _) = family(1);
        family.series(&["GET", "http"]).add_one();
        family.series(&["PUT", "http"]).add_one();
        let allocated = allocation_counter::measure(|| {
            family.series(&["GET", "http"]).add_one();
            family.series(&["PUT", "http"]).add_one();
        });
        assert_eq!(allocated.count_total, 0);
    }
}

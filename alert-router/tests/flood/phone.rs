//! What somebody reads on the phone: which alerts of which groups each message tells, in which
//! order, and what it only counts. Knows the texts and nothing of how they came about.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use alert_engine::Timestamp;
use wecom_sim::Message;

use crate::storm::Storm;

pub(crate) struct Phone(Vec<Read>);

/// One message as a person reads it.
struct Read {
    /// After the beginning.
    at: Duration,
    text: String,
    /// `(2/3)` in its title: which part of how many.
    part: (usize, usize),
    /// From its head: how many alerts are new, and all alerts that it speaks of.
    new: usize,
    all: usize,
    /// Groups in their order, each with how many of its alerts the message shows or counts.
    groups: Vec<(String, usize)>,
    /// How many it says that it left out.
    left_out: usize,
}

impl Phone {
    pub(crate) fn read(messages: Vec<Message>, began: Timestamp) -> Self {
        let read = |message: Message| {
            let at = message.at.as_millisecond() - began.as_millis();
            Read::of(
                Duration::from_millis(u64::try_from(at).unwrap()),
                &message.text(),
            )
        };
        Self(messages.into_iter().map(read).collect())
    }

    /// The numbers, for people.
    pub(crate) fn report(&self, storm: &Storm) -> String {
        let mut text = format!(
            "{} alerts of {} groups ({} critical, {:?}) within {:?}: {} messages, the last at {:?}\n",
            storm.total(),
            storm.groups,
            storm.critical,
            storm.order,
            storm.end(),
            self.0.len(),
            self.0.last().map_or(Duration::ZERO, |read| read.at),
        );
        for read in &self.0 {
            let (part, of) = read.part;
            let (groups, new, left) = (read.groups.len(), read.new, read.left_out);
            writeln!(
                text,
                "  {:>9.2?} part {part}/{of}: {groups} groups, {new} new, {left} only counted, {} bytes",
                read.at,
                read.text.len()
            )
            .unwrap();
        }
        let slowest = |critical: bool| {
            let groups = (0..storm.groups).filter(|group| storm.is_critical(*group) == critical);
            let waits = groups.filter_map(|group| self.wait(storm, group));
            waits.max().unwrap_or_default()
        };
        writeln!(
            text,
            "  slowest critical group {:?}, slowest other {:?}; {} of {} slots for further parts",
            slowest(true),
            slowest(false),
            self.further_parts(),
            self.0.len()
        )
        .unwrap();
        text
    }

    /// What a message shows and what it counts is what its head promises: nothing is cut silently.
    pub(crate) fn counts_add_up(&self) {
        for whole in self.deliveries() {
            let promised = whole[0].all;
            let shown: usize = whole.iter().map(|read| read.shown()).sum();
            let left: usize = whole.iter().map(|read| read.left_out).sum();
            assert_eq!(shown + left, promised, "{}", whole[0].text);
        }
    }

    /// Each alert was new exactly once, and each group was named.
    pub(crate) fn heard_each_once(&self, storm: &Storm) {
        let new: usize = self.deliveries().map(|whole| whole[0].new).sum();
        assert_eq!(new, storm.total());
        let left_out: usize = self.0.iter().map(|read| read.left_out).sum();
        let unnamed: Vec<String> = (0..storm.groups)
            .map(|group| storm.name(group))
            .filter(|name| self.first_of(name).is_none())
            .collect();
        assert!(
            unnamed.len() * storm.alerts <= left_out,
            "never named: {unnamed:?}"
        );
    }

    /// Nobody reads of fewer alerts of a group than before: the storm only grows.
    pub(crate) fn keeps_the_order_of_each_group(&self) {
        let mut known: BTreeMap<&str, usize> = BTreeMap::new();
        for whole in self.deliveries() {
            let [read] = whole else { continue };
            if let [(group, _)] = &read.groups[..] {
                let before = known.insert(group, read.all);
                assert!(before.is_none_or(|before| before <= read.all), "{group}");
            }
        }
    }

    /// Within a digest no critical group stands behind another one, and none is only counted.
    pub(crate) fn critical_come_first(&self, storm: &Storm) {
        let critical: Vec<String> = (0..storm.groups)
            .filter(|group| storm.is_critical(*group))
            .map(|group| storm.name(group))
            .collect();
        for whole in self.deliveries() {
            let groups = whole.iter().flat_map(|read| &read.groups);
            let is_critical: Vec<bool> = groups.map(|(name, _)| critical.contains(name)).collect();
            let first_other = is_critical.iter().position(|critical| !critical);
            let last_critical = is_critical.iter().rposition(|critical| *critical);
            if let (Some(other), Some(critical)) = (first_other, last_critical) {
                assert!(critical < other, "{}", whole[0].text);
            }
        }
        for name in &critical {
            assert!(self.first_of(name).is_some(), "{name} was only counted");
        }
    }

    pub(crate) fn all_heard_within(&self, limit: Duration) {
        let last = self.0.iter().rfind(|read| read.new > 0);
        let last = last.map(|read| read.at).unwrap();
        assert!(last <= limit, "the last news came at {last:?}");
    }

    /// From the first post of a critical group to the first message that names it.
    pub(crate) fn critical_groups_begin_within(&self, storm: &Storm, limit: Duration) {
        for group in (0..storm.groups).filter(|group| storm.is_critical(*group)) {
            let wait = self.wait(storm, group);
            let name = storm.name(group);
            assert!(
                wait.is_some_and(|wait| wait <= limit),
                "{name} waited {wait:?}"
            );
        }
    }

    /// Second and third parts of all messages.
    pub(crate) fn spends_on_parts_at_most(&self, share: f64) {
        let (parts, all) = (self.further_parts(), self.0.len());
        let spent = parts as f64 / all as f64;
        assert!(spent <= share, "{parts} of {all} messages");
    }

    fn further_parts(&self) -> usize {
        self.0.iter().filter(|read| read.part.0 > 1).count()
    }

    fn wait(&self, storm: &Storm, group: usize) -> Option<Duration> {
        let told = self.first_of(&storm.name(group))?;
        Some(told.saturating_sub(storm.begins(group)))
    }

    fn first_of(&self, name: &str) -> Option<Duration> {
        let names = |read: &&Read| read.groups.iter().any(|(group, _)| group == name);
        self.0.iter().find(names).map(|read| read.at)
    }

    /// Messages with their further parts.
    fn deliveries(&self) -> impl Iterator<Item = &[Read]> {
        self.0.chunk_by(|_, next| next.part.0 > 1)
    }
}

impl Read {
    fn of(at: Duration, marked_up: &str) -> Self {
        let text = plain(marked_up);
        let lines: Vec<&str> = text.lines().collect();
        let title = lines[0];
        let part = part_of(title);
        let is_digest = title.contains("Digest");
        let (mut groups, mut alerts) = (Vec::new(), 0);
        let head = lines[1..].iter().find(|_| part.0 == 1);
        let counts = head.map(|line| counts(line)).unwrap_or_default();
        let mut left_out = 0;
        for line in &lines[1..] {
            if let Some(n) = line.strip_suffix_from(" more alert") {
                left_out += n;
            }
            if is_alert(line) {
                alerts += 1;
            } else if is_digest && let Some(group) = group_in(line) {
                groups.push((group, counts_all(line)));
            }
        }
        if !is_digest {
            let name = title.split("· ").nth(1).unwrap_or_default();
            let name = name.split_whitespace().next().unwrap_or_default();
            groups.push((name.to_owned(), alerts));
        }
        Self {
            at,
            part,
            new: counts.0,
            all: counts.1,
            groups,
            left_out,
            text,
        }
    }

    /// How many alerts it speaks of outside its head.
    fn shown(&self) -> usize {
        self.groups.iter().map(|(_, alerts)| alerts).sum()
    }
}

/// A number in front of words.
trait Counted {
    fn strip_suffix_from(&self, words: &str) -> Option<usize>;
}

impl Counted for &str {
    fn strip_suffix_from(&self, words: &str) -> Option<usize> {
        let before = &self[..self.find(words)?];
        before.rsplit([' ', '>']).next()?.parse().ok()
    }
}

/// Without the markup that the phone does not show.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut in_tag = false;
    for c in text.chars() {
        match c {
            '<' => in_tag = true,
            '>' if in_tag => in_tag = false,
            '*' => {}
            c if !in_tag => plain.push(c),
            _ => {}
        }
    }
    plain
}

fn part_of(title: &str) -> (usize, usize) {
    let marker = title.rsplit('(').next().and_then(|m| m.strip_suffix(')'));
    let numbers = marker.and_then(|marker| marker.split_once('/'));
    let parsed = numbers.and_then(|(n, of)| Some((n.parse().ok()?, of.parse().ok()?)));
    parsed.unwrap_or((1, 1))
}

/// New ones, and all.
fn counts(line: &str) -> (usize, usize) {
    let new = line.strip_suffix_from(" new").unwrap_or(0);
    (new, counts_all(line))
}

fn counts_all(line: &str) -> usize {
    let words = [" new", " still firing", " more firing"];
    let counts = words.iter().filter_map(|word| line.strip_suffix_from(word));
    counts.sum()
}

/// Whether a line is about one alert.
fn is_alert(line: &str) -> bool {
    line.contains("instance=") && (line.starts_with("🔴") || line.starts_with("🔸"))
}

/// The group on a line of a digest.
fn group_in(line: &str) -> Option<String> {
    let begins = line.starts_with("🔴 Storm") || line.starts_with("🔸 Storm");
    begins.then(|| line.split(' ').nth(1).unwrap_or_default().to_owned())
}

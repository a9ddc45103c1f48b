//! Several voices of one alert tell people the same as one voice that is their union.

use std::time::Duration;

use alert_engine::{Says, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::world::{World, at};

/// When one voice fires: disjoint spans, in ten-minute steps, so that every change is told.
type Spans = Vec<(u64, u64)>;

#[derive(Clone, Copy, Debug)]
struct Event {
    seen: Timestamp,
    voice: usize,
    says: Says,
}

fn spans() -> impl Strategy<Value = Spans> {
    vec((0u64..3, 1u64..4), 0..4).prop_map(|pairs| {
        let mut from = 0;
        let spans = pairs.into_iter().map(|(pause, length)| {
            let begin = from + pause + 1;
            from = begin + length;
            (begin, from)
        });
        spans.collect()
    })
}

fn minute(ten: u64) -> Timestamp {
    at("0:00") + Duration::from_secs(ten * 600)
}

/// What a voice says, each time a little late.
fn events(voice: usize, spans: &Spans, lateness: &[u64]) -> Vec<Event> {
    let mut lateness = lateness.iter().cycle().copied();
    let mut seen = |at: Timestamp| at + Duration::from_millis(lateness.next().unwrap_or(0));
    let mut events = Vec::new();
    for (begin, end) in spans {
        let (start, end) = (minute(*begin), minute(*end));
        let fires = Says::Firing {
            start,
            expires: None,
        };
        events.push(Event {
            seen: seen(start),
            voice,
            says: fires,
        });
        events.push(Event {
            seen: seen(end),
            voice,
            says: Says::Resolved { end },
        });
    }
    events
}

fn union(voices: &[Spans]) -> Spans {
    let mut all: Spans = voices.iter().flatten().copied().collect();
    all.sort_unstable();
    let mut union: Spans = Vec::new();
    for (begin, end) in all {
        match union.last_mut() {
            Some(last) if begin <= last.1 => last.1 = last.1.max(end),
            Some(_) | None => union.push((begin, end)),
        }
    }
    union
}

/// What people hear, without the exact instants.
fn told(mut events: Vec<Event>) -> Vec<String> {
    events.sort_by_key(|event| event.seen);
    let mut world = World::new();
    for event in events {
        world.run_to(event.seen);
        world.observe("G", "A", &event.voice.to_string(), event.says);
    }
    world.run_to(minute(60));
    world.story()
}

proptest! {
    #[test]
    fn union_of_voices(
        voices in vec(spans(), 1..4),
        lateness in vec(0u64..4_000, 8),
    ) {
        let many = voices.iter().enumerate();
        let many = many.flat_map(|(voice, spans)| events(voice, spans, &lateness[voice..]));
        let one = events(0, &union(&voices), &[0]);
        prop_assert_eq!(told(many.collect()), told(one));
    }
}

//! An alert that is moved between groups at any moment is told as if it had never moved.

use alert_engine::{Intake, Says};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::world::{Answer, World, lasting, policy};

/// One thing that happens, after a pause.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// It fires, or ends, whichever is news.
    Flip,
    /// It is posted again as it is.
    Again,
    /// The config routes it to the other group.
    Reload,
    /// The channel answers so from now on.
    Channel(Answer),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => Just(Event::Flip),
        1 => Just(Event::Again),
        2 => Just(Event::Reload),
        1 => Just(Event::Channel(Answer::Delivers)),
        1 => Just(Event::Channel(Answer::Fails)),
        1 => Just(Event::Channel(Answer::Refuses)),
    ]
}

/// A, where it lives and where it should.
struct Story {
    world: World,
    home: &'static str,
    routed: &'static str,
    says: Option<Says>,
}

impl Story {
    fn begin() -> Self {
        let mut world = World::new();
        world.add_group("H", policy(&["room"]), Intake::Webhook);
        Self {
            world,
            home: "G",
            routed: "G",
            says: None,
        }
    }

    /// Moves A if it is to live elsewhere, as far as deliveries under way permit.
    fn sweep(&mut self) {
        if self.home != self.routed && self.world.rehome("A", self.home, self.routed).is_ok() {
            self.home = self.routed;
        }
    }

    fn happens(&mut self, event: Event) {
        let now = self.world.now;
        match event {
            Event::Flip => {
                self.says = Some(match self.says {
                    Some(Says::Firing { .. }) => Says::Resolved { end: now },
                    Some(Says::Resolved { .. }) | None => Says::Firing {
                        start: now,
                        expires: None,
                    },
                });
            }
            Event::Again => {}
            Event::Reload => self.routed = if self.routed == "G" { "H" } else { "G" },
            Event::Channel(answer) => self.world.channel_now("room", answer),
        }
        self.sweep();
        if let Some(says) = self.says {
            self.world.observe(self.home, "A", "A", says);
        }
    }
}

proptest! {
    #[test]
    fn an_alert_that_moves_is_told_as_if_it_stayed(
        events in vec((event(), 0u64..400), 1..25),
    ) {
        let mut story = Story::begin();
        for (event, pause) in events {
            story.world.run_to(story.world.now + lasting("0:01") * u32::try_from(pause).unwrap());
            story.happens(event);
        }
        story.world.channel_now("room", Answer::Delivers);
        story.world.run_to(story.world.now + lasting("10:00"));
        story.sweep();
        story.world.replay("room");
        story.world.run_to(story.world.now + lasting("30:00"));
        let mut believed = false;
        for told in story.world.story() {
            let now_fires = told.contains('+') || told.contains('^') || told.contains('=');
            prop_assert!(!(believed && told.contains('+') && !told.contains('-')), "{told}");
            believed = now_fires;
        }
        let fires = matches!(story.says, Some(Says::Firing { .. }));
        prop_assert_eq!(believed, fires, "{:?}", story.world.story());
    }
}

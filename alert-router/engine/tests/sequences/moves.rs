//! An alert that is moved between groups at any moment is told as if it had never moved.

use std::collections::BTreeSet;

use alert_engine::{Intake, Rehomed, Says};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::world::{Answer, World, lane, lasting, policy};

/// The groups, each with its destination.
const SITES: [(&str, &str); 4] = [("G", "room"), ("H", "room"), ("I", "mail"), ("J", "mail")];

/// One thing that happens, after a pause.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// It fires, or ends, whichever is news.
    Flip,
    /// It is posted again as it is.
    Again,
    /// The config routes it to this group.
    Reload(usize),
    /// The channel answers so from now on.
    Channel(Answer),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => Just(Event::Flip),
        1 => Just(Event::Again),
        2 => (0..SITES.len()).prop_map(Event::Reload),
        1 => Just(Event::Channel(Answer::Delivers)),
        1 => Just(Event::Channel(Answer::Fails)),
        1 => Just(Event::Channel(Answer::Refuses)),
    ]
}

/// A, which groups hold it, and where it should live.
struct Story {
    world: World,
    homes: BTreeSet<&'static str>,
    routed: &'static str,
    says: Option<Says>,
}

impl Story {
    fn begin() -> Self {
        let mut world = World::new();
        let destinations = policy(&["room", "mail"]).destinations;
        for (site, to) in SITES {
            let mut policy = policy(&[to]);
            policy.destinations = destinations.clone();
            world.add_group(site, policy, Intake::Webhook);
        }
        world.lanes_are(&["room", "mail"]);
        Self {
            world,
            homes: BTreeSet::new(),
            routed: "G",
            says: None,
        }
    }

    /// Moves A if it is to live elsewhere, as far as deliveries under way permit. What it left
    /// behind earlier goes first.
    fn sweep(&mut self) {
        let sites = &self.world.sites;
        let holds = |site: &&str| !sites[*site].group.state().alerts.is_empty();
        self.homes.retain(holds);
        let world = &self.world;
        let lives = |site: &&str| {
            world.sites[*site]
                .group
                .state()
                .alerts
                .values()
                .any(|a| !a.departed)
        };
        let mut old: Vec<_> = self
            .homes
            .iter()
            .copied()
            .filter(|site| *site != self.routed)
            .collect();
        old.sort_by_key(lives);
        for site in old {
            match self.world.rehome("A", site, self.routed) {
                Ok(Rehomed::Gone) => {
                    self.homes.remove(site);
                    self.homes.insert(self.routed);
                }
                Ok(Rehomed::Departed) => {
                    self.homes.insert(self.routed);
                }
                Ok(Rehomed::Nothing) => {}
                Err(_) => return,
            }
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
            Event::Reload(to) => self.routed = SITES[to].0,
            Event::Channel(answer) => {
                self.world.channel_now("room", answer);
                self.world.channel_now("mail", answer);
            }
        }
        self.sweep();
        self.observe();
    }

    /// Its routed group hears of it, unless it waits to move there, and so do all its homes.
    fn observe(&mut self) {
        let Some(says) = self.says else { return };
        let waits = self.homes.iter().any(|site| {
            let held = self.world.sites[site]
                .group
                .state()
                .alerts
                .values()
                .any(|a| !a.departed);
            held && *site != self.routed
        });
        if !waits {
            self.homes.insert(self.routed);
        }
        for site in self.homes.clone() {
            match !waits && site == self.routed {
                true => self.world.observe(site, "A", "A", says),
                false => self.world.overhear(site, "A", says),
            };
        }
    }

    /// What people at `to` believe of A in the end; an error if they were told twice.
    fn believed(&self, to: &str) -> Result<bool, String> {
        let mut believed = false;
        for told in self
            .world
            .story()
            .iter()
            .filter(|told| told.starts_with(to))
        {
            let begins = told.contains('+') && !told.contains('-');
            if believed && begins {
                return Err(format!("{told} in {:?}", self.world.story()));
            }
            believed = told.contains(['+', '^', '=']);
        }
        Ok(believed)
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
        for to in ["room", "mail"] {
            story.world.channel_now(to, Answer::Delivers);
        }
        story.world.run_to(story.world.now + lasting("10:00"));
        story.sweep();
        story.observe();
        for to in ["room", "mail"] {
            story.world.replay(to);
        }
        story.world.run_to(story.world.now + lasting("30:00"));
        let fires = matches!(story.says, Some(Says::Firing { .. }));
        for (site, to) in SITES {
            let routed = story.world.sites[story.routed].policy.lanes.contains_key(&lane(to));
            let believed = story.believed(to).map_err(TestCaseError::fail)?;
            prop_assert!(fires || !believed, "{site}: {:?}", story.world.story());
            prop_assert!(believed || !(fires && routed), "{site}: {:?}", story.world.story());
        }
    }
}

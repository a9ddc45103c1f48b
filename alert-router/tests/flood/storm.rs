//! What is posted, and when: groups of alerts as an Alertmanager posts them, each group a few times,
//! each time with all of it that fires so far.

use std::time::Duration;

use serde_json::{Value, json};

/// Many alerts in a short time.
pub(crate) struct Storm {
    pub(crate) groups: usize,
    /// How many of the groups are critical.
    pub(crate) critical: usize,
    /// Alerts of one group.
    pub(crate) alerts: usize,
    /// Posts of one group; each has more of its alerts.
    pub(crate) posts: usize,
    pub(crate) within: Duration,
    pub(crate) order: Order,
}

/// When the critical groups come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Among the others.
    Shuffled,
    /// Before all others.
    CriticalFirst,
    /// When the others have used up what the robot may send.
    CriticalLast,
}

/// One webhook.
pub(crate) struct Post {
    /// After the beginning.
    pub(crate) at: Duration,
    pub(crate) body: Value,
}

impl Storm {
    pub(crate) fn end(&self) -> Duration {
        self.within
    }

    pub(crate) fn is_critical(&self, group: usize) -> bool {
        match self.order {
            Order::Shuffled => group.is_multiple_of(self.groups / self.critical),
            Order::CriticalFirst => group < self.critical,
            Order::CriticalLast => group + self.critical >= self.groups,
        }
    }

    pub(crate) fn name(&self, group: usize) -> String {
        format!("Storm{group:03}")
    }

    pub(crate) fn total(&self) -> usize {
        self.groups * self.alerts
    }

    /// When a group is posted first.
    pub(crate) fn begins(&self, group: usize) -> Duration {
        self.at(group, 0)
    }

    /// All posts, in order.
    pub(crate) fn posts(&self) -> Vec<Post> {
        let mut posts: Vec<(Duration, usize, usize)> = (0..self.groups)
            .flat_map(|group| (0..self.posts).map(move |post| (group, post)))
            .map(|(group, post)| (self.at(group, post), group, post))
            .collect();
        posts.sort_unstable();
        let post = |(at, group, post)| Post {
            at,
            body: self.body(group, post),
        };
        posts.into_iter().map(post).collect()
    }

    /// Spread evenly: the first posts of all groups over the first share of the time, and so on.
    fn at(&self, group: usize, post: usize) -> Duration {
        let place = match self.order {
            // Any number without a common factor spreads them.
            Order::Shuffled => group * 317 % self.groups,
            Order::CriticalFirst | Order::CriticalLast => group,
        };
        let place = post * self.groups + place;
        let of = self.posts * self.groups;
        self.within * u32::try_from(place).unwrap() / u32::try_from(of).unwrap()
    }

    fn body(&self, group: usize, post: usize) -> Value {
        let severity = match self.is_critical(group) {
            true => "critical",
            false => "warning",
        };
        let name = self.name(group);
        let so_far = self.alerts * (post + 1) / self.posts;
        let alert = |n: usize| {
            json!({
                "status": "firing",
                "labels": {
                    "alertname": name, "severity": severity, "team": "shop",
                    "instance": format!("{name}-{n:02}.example.com:9100"),
                },
                "annotations": {
                    "summary": format!("{n} of {name}: the queue is longer than 1,000 for 5 minutes"),
                    "description": "Customers wait longer than a second. 客户等待超过一秒。",
                    "runbook_url": format!("https://runbooks.example.com/{name}"),
                },
                "startsAt": "2026-01-05T00:59:00Z",
                "endsAt": "0001-01-01T00:00:00Z",
                "generatorURL": "http://prometheus.example.com/graph?g0.expr=queue_length+%3E+1000",
            })
        };
        json!({
            "version": "4", "receiver": "router", "status": "firing",
            "externalURL": "http://alertmanager.example.com",
            "alerts": (0..so_far).map(alert).collect::<Vec<_>>(),
        })
    }
}

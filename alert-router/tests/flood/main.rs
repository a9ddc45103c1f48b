//! Floods on virtual time: far more alerts than one WeCom robot may tell in a minute, through the
//! real step, the real robot's bytes and a strict simulator of the service. What counts is what the
//! phone showed, and when.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a world that cannot be built is a failed test, and the numbers are the result"
)]

mod hall;
mod phone;
mod storm;

use std::time::Duration;

use hall::Hall;
use phone::Phone;
use storm::{Order, Storm};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// Lets a storm rage, and calm down, and returns what the phone showed.
async fn after(storm: &Storm, route: &str, quiet: Duration) -> Phone {
    let mut hall = Hall::open(route).await;
    for post in storm.posts() {
        hall.until(post.at).await;
        hall.post(&post.body).await;
    }
    hall.until(storm.end() + quiet).await;
    let phone = Phone::read(hall.messages(), hall.began());
    println!("{}", phone.report(storm));
    assert_eq!(hall.refusals(), Vec::<String>::new(), "the robot's limit");
    phone.counts_add_up();
    phone.heard_each_once(storm);
    phone.keeps_the_order_of_each_group();
    phone
}

#[tokio::test]
async fn a_thousand_alerts_of_fifty_groups_in_a_minute_are_all_heard_within_three() {
    let storm = Storm {
        groups: 50,
        critical: 5,
        alerts: 20,
        posts: 4,
        within: MINUTE,
        order: Order::Shuffled,
    };
    let phone = after(&storm, "group_interval: 30s", 5 * MINUTE).await;
    phone.critical_come_first(&storm);
    phone.all_heard_within(3 * MINUTE);
    phone.critical_groups_begin_within(&storm, MINUTE);
}

#[tokio::test]
async fn five_hundred_groups_in_a_minute_are_all_heard_within_four_and_critical_ones_within_one() {
    for order in [Order::Shuffled, Order::CriticalFirst, Order::CriticalLast] {
        let storm = Storm {
            groups: 500,
            critical: 50,
            alerts: 2,
            posts: 1,
            within: MINUTE,
            order,
        };
        let phone = after(&storm, "", 6 * MINUTE).await;
        phone.critical_come_first(&storm);
        phone.critical_groups_begin_within(&storm, MINUTE);
        phone.all_heard_within(4 * MINUTE);
        phone.spends_on_parts_at_most(0.2);
    }
}

/// F-22: the first message of each critical group comes within its wait, the rest is merged under
/// the limits, nothing is lost, and each group keeps its order.
#[tokio::test]
async fn f22_in_five_seconds_critical_groups_are_told_within_their_wait() {
    for order in [Order::Shuffled, Order::CriticalFirst, Order::CriticalLast] {
        let storm = Storm {
            groups: 50,
            critical: 5,
            alerts: 10,
            posts: 2,
            within: 5 * SECOND,
            order,
        };
        let phone = after(&storm, "group_interval: 30s", 5 * MINUTE).await;
        phone.critical_come_first(&storm);
        // `group_wait`, and the time that the robot takes.
        phone.critical_groups_begin_within(&storm, 6 * SECOND);
        phone.all_heard_within(3 * MINUTE);
    }
}

//! Alertmanagers that work as a cluster post the same alerts more than once.

use stack_tests::parts::{Program, installed, until};

use crate::stack::{Stack, Wishes};

#[tokio::test(flavor = "multi_thread")]
async fn two_alertmanagers_of_a_cluster_make_one_message() {
    if !installed("end to end: a cluster of Alertmanagers", &Program::ALL) {
        return;
    }
    let wishes = Wishes {
        alertmanagers: 2,
        ..Wishes::default()
    };
    let mut stack = Stack::start(wishes).await;
    for member in &stack.alertmanagers {
        until("both members see each other", async || {
            match member.members().await? {
                2 => Ok(()),
                other => Err(format!("{other} members")),
            }
        })
        .await;
    }

    stack.target.set("db-1", 95.0);
    for member in &stack.alertmanagers {
        until("each member posted twice", async || {
            match member.posted().await? {
                posted if posted >= 2.0 => Ok(()),
                posted => Err(format!("{posted} posts")),
            }
        })
        .await;
    }
    // The one that stays tells the end.
    stack.alertmanagers[0].kill();
    stack.target.set("db-1", 10.0);

    let heard = stack.heard_exactly(2).await;
    heard.assert_says(0, &["告警中", "db-1"], &[]);
    heard.assert_says(1, &["已恢复", "db-1"], &[]);
    heard.assert_one_thread();
}

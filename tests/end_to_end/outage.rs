//! An Alertmanager that dies forgets what it has posted, and what it was told meanwhile.

use stack_tests::parts::{Program, installed, until};

use crate::stack::{Stack, Wishes};

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_alertmanager_repeats_nothing_and_loses_nothing() {
    if !installed("end to end: an outage of Alertmanager", &Program::ALL) {
        return;
    }
    let mut stack = Stack::start(Wishes::default()).await;
    stack.target.set("db-1", 95.0);
    stack.heard_exactly(1).await;

    stack.alertmanagers[0].kill();
    stack.target.set("db-2", 96.0);
    let prometheus = &stack.prometheus;
    until("db-2 fires while nobody can be told", async || {
        let hosts = prometheus.firing_hosts().await?;
        let both = hosts == ["db-1", "db-2"];
        if both {
            Ok(())
        } else {
            Err(format!("{hosts:?}"))
        }
    })
    .await;
    stack.alertmanagers[0].start_again().await;
    let heard = stack.heard_exactly(2).await;
    heard.assert_says(1, &["新增 1", "仍在告警 1", "db-1", "db-2"], &["再次触发"]);

    // It posts both again and again from an empty memory.
    let again = &stack.alertmanagers[0];
    until("it posted three times since", async || {
        match again.posted().await? {
            posted if posted >= 3.0 => Ok(()),
            posted => Err(format!("{posted} posts")),
        }
    })
    .await;
    stack.target.set("db-1", 10.0);
    stack.target.set("db-2", 10.0);
    let heard = stack.heard_exactly(3).await;
    heard.assert_says(2, &["已恢复", "恢复 2", "db-1", "db-2"], &[]);
    heard.assert_one_thread();
}

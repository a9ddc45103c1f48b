//! A router that dies knows afterwards what people have heard.

use stack_tests::parts::{Program, installed};

use crate::stack::{Stack, Wishes};

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_router_tells_the_end_in_the_thread_of_the_beginning() {
    if !installed("end to end: a killed router", &Program::ALL) {
        return;
    }
    let mut stack = Stack::start(Wishes::default()).await;
    stack.target.set("db-1", 95.0);
    stack.heard_exactly(1).await;

    stack.router.kill();
    stack.target.set("db-1", 10.0);
    stack.router.start_again().await;

    let heard = stack.heard_exactly(2).await;
    heard.assert_says(0, &["告警中", "新增 1", "db-1"], &[]);
    heard.assert_says(1, &["已恢复", "恢复 1", "db-1"], &["新增"]);
    heard.assert_one_thread();
}

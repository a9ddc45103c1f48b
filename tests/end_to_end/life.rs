//! The life of a group as its people live it: it fires, it grows, it is over.

use stack_tests::parts::{Program, installed};

use crate::stack::{CLUSTER, Stack, TEAM, Wishes};

#[tokio::test(flavor = "multi_thread")]
async fn a_group_fires_grows_and_ends_in_one_thread_of_three_mails() {
    if !installed("end to end: the life of a group", &Program::ALL) {
        return;
    }
    let stack = Stack::start(Wishes::default()).await;

    stack.target.set("db-1", 95.0);
    stack.heard(1).await;
    stack.target.set("db-2", 96.0);
    stack.heard(2).await;
    stack.target.set("db-1", 10.0);
    stack.target.set("db-2", 10.0);
    let heard = stack.heard_exactly(3).await;

    let summary = "磁盘快满了: db-1";
    heard.assert_says(0, &["告警中", "新增 1", summary, CLUSTER], &["db-2"]);
    heard.assert_says(1, &["告警中", "新增 1", "仍在告警 1", "db-1", "db-2"], &[]);
    heard.assert_says(2, &["已恢复", "恢复 2", "db-1", "db-2"], &["新增"]);
    heard.assert_one_thread();
    let statuses: Vec<_> = heard.mails.iter().map(|mail| &*mail.status).collect();
    assert_eq!(statuses, ["firing", "firing", "resolved"]);
    for mail in &heard.mails {
        assert!(mail.subject.contains("DiskFull"), "{}", mail.subject);
        assert!(mail.subject.contains(CLUSTER), "{}", mail.subject);
        assert!(mail.sender.contains("告警中心"), "{}", mail.sender);
        assert_eq!(mail.to, ["oncall@mail.test"]);
        assert!(mail.text.contains(TEAM) && mail.html.contains(TEAM));
        assert!(mail.seven_bit, "relays without 8BITMIME spoil the rest");
        // ESMTPSA: over TLS, by somebody who logged in.
        assert!(mail.received.contains("ESMTPSA"), "{}", mail.received);
    }
}

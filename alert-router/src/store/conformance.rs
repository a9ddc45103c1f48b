//! The contract of `Store` as a suite. Each store is one line at the end; what a store cannot do
//! it must say in `LACKS`, everything else is run.

mod agreement;
mod world;

use std::sync::Arc;
use std::time::Duration;

use alert_engine::Timestamp;
use bytes::Bytes;

pub(super) use self::world::{Ability, Subject};
use self::world::{
    START, World, at, create, delete, doc, expect, group, keep, put, put_waking, record, remember,
    unit,
};
use super::{Committed, Keep, Kind, Revision, StoreError, Write};

async fn a_write_must_know_the_present_revision<S: Subject>(world: World<S>) {
    let first = world.done(unit([create("a", "1")])).await[0];
    assert!(first > Revision::NONE);
    assert_eq!(world.conflict(unit([create("a", "x")])).await, [group("a")]);
    let second = world.done(unit([put("a", first, "2")])).await[0];
    assert!(second > first);
    assert_eq!(
        world.conflict(unit([put("a", first, "x")])).await,
        [group("a")]
    );
    assert_eq!(
        world.conflict(unit([delete("a", first)])).await,
        [group("a")]
    );
    assert_eq!(
        world.conflict(unit([put("b", first, "x")])).await,
        [group("b")]
    );
    assert_eq!(
        world.conflict(unit([delete("b", first)])).await,
        [group("b")]
    );
    assert_eq!(world.read("a b").await, "2 -");
    let loaded = world.store.load(vec![group("a")]).await.unwrap();
    assert_eq!(loaded.docs[0].as_ref().unwrap().revision, second);
    assert_eq!(loaded.now, START);
}

async fn a_revision_never_comes_back_after_a_delete<S: Subject>(world: World<S>) {
    let first = world.done(unit([create("a", "1")])).await[0];
    let gone = world.done(unit([delete("a", first)])).await;
    assert_eq!(gone, [Revision::NONE]);
    assert_eq!(world.read("a").await, "-");
    let again = world.done(unit([create("a", "2")])).await[0];
    assert!(again > first);
    assert_eq!(
        world.conflict(unit([put("a", first, "x")])).await,
        [group("a")]
    );
}

async fn a_unit_happens_whole_or_not_at_all<S: Subject>(world: World<S>) {
    let a = world.done(unit([create("a", "1")])).await[0];
    let mut failing = unit([
        create("b", "x"),
        put("a", Revision::NONE, "x"),
        delete("c", a),
        keep("d", "x", None),
    ]);
    failing.history.push(record("a", START, "x"));
    assert_eq!(world.conflict(failing).await, [group("a"), group("c")]);
    assert_eq!(world.read("a b c d").await, "1 - - -");
    assert_eq!(world.history(None, 10).await, "");

    let mut fitting = unit([create("b", "1"), put("a", a, "2"), keep("d", "1", None)]);
    fitting.history.push(record("a", START, "h"));
    let revisions = world.done(fitting).await;
    assert_eq!(revisions.len(), 3);
    assert_eq!(world.read("a b c d").await, "2 1 - 1");
    assert_eq!(world.history(None, 10).await, "h");
}

async fn a_conflict_fails_only_its_unit<S: Subject>(world: World<S>) {
    let units = vec![
        unit([create("a", "1")]),
        unit([create("a", "x"), create("b", "x")]),
        unit([create("c", "1")]),
        unit([]),
    ];
    let outcomes = world.commit(units).await;
    assert!(matches!(&outcomes[0], Committed::Done(done) if done.len() == 1));
    assert_eq!(outcomes[1], Committed::Conflict(vec![group("a")]));
    assert!(matches!(&outcomes[2], Committed::Done(done) if done.len() == 1));
    assert_eq!(outcomes[3], Committed::Done(vec![]));
    assert_eq!(world.read("a b c").await, "1 - 1");
}

async fn of_two_writers_one_wins<S: Subject>(world: World<S>) {
    let seen = world.done(unit([create("a", "0")])).await[0];
    let other = world.subject.handle();
    let mine = world.store.commit(vec![unit([put("a", seen, "mine")])]);
    let theirs = other.commit(vec![unit([put("a", seen, "theirs")])]);
    let (mine, theirs) = futures_util::future::join(mine, theirs).await;
    let won = |outcome: Result<Vec<Committed>, StoreError>| {
        matches!(outcome.unwrap()[0], Committed::Done(_))
    };
    let (mine, theirs) = (won(mine), won(theirs));
    assert!(mine != theirs, "mine: {mine}, theirs: {theirs}");
    let winner = if mine { "mine" } else { "theirs" };
    assert_eq!(world.read("a").await, winner);
}

async fn every_handle_sees_what_was_answered<S: Subject>(world: World<S>) {
    let other = world.subject.handle();
    let mut revision = Revision::NONE;
    for round in 0..50 {
        let write = put_waking("a", revision, &round.to_string(), Some(START));
        revision = world.done(unit([write])).await[0];
        let loaded = other.load(vec![group("a")]).await.unwrap();
        assert_eq!(loaded.docs[0].as_ref().unwrap().revision, revision);
        let due = other.due(1).await.unwrap();
        assert_eq!(due.docs[0].revision, revision);
        let unchanged = other.commit(vec![unit([expect("a", revision)])]).await;
        assert_eq!(unchanged.unwrap(), [Committed::Done(vec![revision])]);
    }
}

async fn expect_fails_a_unit_whose_premise_moved<S: Subject>(world: World<S>) {
    let a = world.done(unit([create("a", "1")])).await[0];
    let premise = unit([expect("a", a), expect("b", Revision::NONE)]);
    assert_eq!(world.done(premise.clone()).await, [a, Revision::NONE]);
    world.done(unit([put("a", a, "2"), create("b", "1")])).await;
    assert_eq!(world.conflict(premise).await, [group("a"), group("b")]);
    let missing = unit([expect("c", a), create("d", "x")]);
    assert_eq!(world.conflict(missing).await, [group("c")]);
    assert_eq!(world.read("a b c d").await, "2 1 - -");
}

async fn keep_creates_once<S: Subject>(world: World<S>) {
    let first = world.done(unit([keep("a", "1", None)])).await;
    assert!(first[0] > Revision::NONE);
    let again = world.done(unit([keep("a", "other", None)])).await;
    assert_eq!(again, first);
    assert_eq!(world.read("a").await, "1");
}

async fn keep_only_moves_a_wake_later<S: Subject>(world: World<S>) {
    let never = world.done(unit([keep("never", "1", None)])).await;
    let some = world.done(unit([keep("some", "1", Some(at(10)))])).await;
    let kept = world
        .done(unit([
            keep("never", "x", Some(at(5))),
            keep("some", "x", Some(at(10))),
        ]))
        .await;
    assert_eq!(kept, [never[0], some[0]]);
    assert_eq!(
        world.done(unit([keep("some", "x", Some(at(9)))])).await,
        some
    );
    assert_eq!(world.done(unit([keep("some", "x", None)])).await, some);
    assert_eq!(world.due(9).await, " next Some(10)");

    let later = world.done(unit([keep("some", "x", Some(at(20)))])).await[0];
    assert!(later > some[0]);
    assert_eq!(
        world.conflict(unit([delete("some", some[0])])).await,
        [group("some")]
    );
    assert_eq!(world.due(9).await, " next Some(20)");
    assert_eq!(world.read("never some").await, "1 1");
}

async fn due_is_ordered_limited_and_names_the_next<S: Subject>(world: World<S>) {
    let wakes = [("b", 5), ("c", 5), ("a", 7), ("d", 9), ("z", 1)];
    for (id, seconds) in wakes {
        let write = put_waking(id, Revision::NONE, id, Some(at(seconds)));
        world.done(unit([write])).await;
    }
    assert_eq!(world.due(9).await, " next Some(1)");
    world.clock.advance(Duration::from_secs(7));
    assert_eq!(world.due(9).await, "z b c a next Some(2)");
    assert_eq!(world.due(2).await, "z b next Some(2)");
    assert_eq!(world.due(0).await, " next Some(2)");
    world.clock.set(at(9));
    assert_eq!(world.due(9).await, "z b c a d next None");
    world.clock.set(at(0));
    assert_eq!(world.due(9).await, " next Some(1)");
}

async fn a_wake_moves_with_its_document<S: Subject>(world: World<S>) {
    let write = put_waking("a", Revision::NONE, "1", Some(at(0)));
    let first = world.done(unit([write])).await[0];
    assert_eq!(world.due(9).await, "a next None");
    let second = world
        .done(unit([put_waking("a", first, "2", Some(at(60)))]))
        .await[0];
    assert_eq!(world.due(9).await, " next Some(60)");
    let third = world.done(unit([put("a", second, "3")])).await[0];
    assert_eq!(world.due(9).await, " next None");
    let fourth = world
        .done(unit([put_waking("a", third, "4", Some(at(0)))]))
        .await[0];
    world.done(unit([delete("a", fourth)])).await;
    assert_eq!(world.due(9).await, " next None");
}

async fn without_a_wake_nothing_is_ever_due<S: Subject>(world: World<S>) {
    world.done(unit([create("a", "1")])).await;
    world.clock.set(Timestamp::MAX);
    assert_eq!(world.due(9).await, " next None");
    world.clock.set(Timestamp::MIN);
    assert_eq!(world.due(9).await, " next None");
}

async fn scan_pages_in_key_order<S: Subject>(world: World<S>) {
    for id in ["b", "aa", "a", "c"] {
        world.done(unit([create(id, id)])).await;
    }
    let other = Write::Put {
        key: doc(Kind::Body, "ab"),
        expected: Revision::NONE,
        wake_at: None,
        bytes: Bytes::from_static(b"body"),
    };
    world.done(unit([other])).await;
    assert_eq!(world.scan(Kind::Group, "", 9).await, "a aa b c");
    assert_eq!(world.scan(Kind::Group, "", 2).await, "a aa");
    assert_eq!(world.scan(Kind::Group, "aa", 2).await, "b c");
    assert_eq!(world.scan(Kind::Group, "c", 2).await, "");
    assert_eq!(world.scan(Kind::Body, "", 2).await, "body");
    assert_eq!(world.scan(Kind::Inbox, "", 2).await, "");
}

async fn history_is_paged_newest_first<S: Subject>(world: World<S>) {
    let same_instant = ["1", "2", "3"].map(|n| record("a", START, n));
    world.done(remember(same_instant)).await;
    world.done(remember([record("b", at(5), "4")])).await;
    // The order is that of the commits, also when the clock stepped back.
    world.done(remember([record("a", at(2), "5")])).await;
    assert_eq!(world.history(None, 9).await, "5 4 3 2 1");
    assert_eq!(world.history(None, 2).await, "5 4 | 3 2 | 1");
    assert_eq!(world.history(Some("a"), 2).await, "5 3 | 2 1 | ");
    assert_eq!(world.history(Some("b"), 2).await, "4");
    assert_eq!(world.history(Some("c"), 2).await, "");
}

async fn a_sweep_takes_the_oldest_and_no_more_than_its_limit<S: Subject>(world: World<S>) {
    let records = [(3, "3"), (1, "1"), (2, "2"), (4, "4")].map(|(s, n)| record("a", at(s), n));
    world.done(remember(records)).await;
    let keep = |seconds, limit| Keep {
        history_from: at(seconds),
        limit,
    };
    assert_eq!(world.store.sweep(keep(1, 9)).await.unwrap(), 0);
    assert_eq!(world.store.sweep(keep(4, 2)).await.unwrap(), 2);
    assert_eq!(world.history(None, 9).await, "4 3");
    assert_eq!(world.store.sweep(keep(4, 0)).await.unwrap(), 0);
    assert_eq!(world.store.sweep(keep(4, 2)).await.unwrap(), 1);
    assert_eq!(world.history(Some("a"), 9).await, "4");
}

async fn depth_counts_documents_by_kind_and_what_is_due<S: Subject>(world: World<S>) {
    let a = world
        .done(unit([
            put_waking("a", Revision::NONE, "1", Some(at(0))),
            put_waking("b", Revision::NONE, "1", Some(at(1))),
            keep("c", "1", None),
        ]))
        .await[0];
    world.done(unit([keep("c", "1", None)])).await;
    world
        .conflict(unit([create("a", "x"), create("d", "x")]))
        .await;
    let counted = world.store.depth().await.unwrap();
    let expected = Kind::ALL.map(|kind| (kind, if kind == Kind::Group { 3 } else { 0 }));
    assert_eq!(counted.docs, expected);
    assert_eq!(counted.due, 1);
    world.done(unit([delete("a", a)])).await;
    let counted = world.store.depth().await.unwrap();
    assert_eq!(counted.docs[0], (Kind::Group, 2));
    assert_eq!(counted.due, 0);
}

async fn a_crash_leaves_exactly_what_was_answered<S: Subject>(world: World<S>) {
    if S::LACKS.contains(&Ability::Crash) {
        return;
    }
    let mut revision = world.done(unit([create("a", "0")])).await[0];
    for round in 1..4 {
        let mut change = unit([put_waking("a", revision, &round.to_string(), Some(at(0)))]);
        change.history.push(record("a", START, &round.to_string()));
        revision = world.done(change).await[0];
        let after = World::around(world.subject.crash(), Arc::clone(&world.clock));
        let survivor = after.store.load(vec![group("a")]).await.unwrap();
        assert_eq!(survivor.docs[0].as_ref().unwrap().revision, revision);
        assert_eq!(after.read("a").await, round.to_string());
        assert_eq!(after.due(1).await, "a next None");
        assert_eq!(
            after.history(None, 1).await.split(' ').next(),
            Some(&*round.to_string())
        );
        assert_eq!(after.store.depth().await.unwrap().docs[0].1, 1);
        // What it gives out next was never given out before.
        let next = after.done(unit([put("a", revision, "next")])).await[0];
        assert!(next > revision);
    }
}

async fn a_torn_write_loses_only_what_was_not_answered<S: Subject>(world: World<S>) {
    if S::LACKS.contains(&Ability::Tear) {
        return;
    }
    let a = world.done(unit([create("a", "answered")])).await[0];
    let mut last = unit([put("a", a, "last"), create("b", "last")]);
    last.history.push(record("a", START, "last"));
    world.done(last).await;
    let (mut before, mut after) = (0, 0);
    for torn in world.subject.torn() {
        let found = World::around(torn, Arc::clone(&world.clock));
        match (&*found.read("a b").await, &*found.history(None, 2).await) {
            ("answered -", "") => before += 1,
            ("last last", "last") => after += 1,
            other => panic!("half of a unit: {other:?}"),
        }
    }
    assert!(before > 100, "only {before} states lost the last unit");
    assert_eq!(after, 1, "the whole log holds the last unit");
}

async fn a_full_store_says_so_and_goes_on_when_there_is_room<S: Subject>(world: World<S>) {
    if S::LACKS.contains(&Ability::Fill) {
        return;
    }
    let subject = S::with_room(Arc::clone(&world.clock), 200_000);
    let world = World::around(subject, Arc::clone(&world.clock));
    let big = "x".repeat(10_000);
    let mut written = Vec::new();
    let full = loop {
        let id = written.len().to_string();
        match world.store.commit(vec![unit([create(&id, &big)])]).await {
            Ok(mut done) => match done.remove(0) {
                Committed::Done(revisions) => written.push(revisions[0]),
                Committed::Conflict(keys) => panic!("{keys:?} have moved"),
            },
            Err(error) => break error,
        }
    };
    assert!(matches!(full, StoreError::Full { .. }), "{full:?}");
    assert!(written.len() > 5);
    let lost = written.len().to_string();
    assert_eq!(world.read(&lost).await, "-");
    // A small caller in the same batch as one that does not fit is served.
    let (big, small) = futures_util::future::join(
        world.store.commit(vec![unit([create(&lost, &big)])]),
        world
            .store
            .commit(vec![unit([put("0", written[0], "small")])]),
    )
    .await;
    assert!(matches!(big, Err(StoreError::Full { .. })));
    assert!(matches!(small.unwrap()[0], Committed::Done(_)));
    let gone = (1..4).map(|n| delete(&n.to_string(), written[n]));
    world.done(unit(gone.collect::<Vec<_>>())).await;
    world.done(unit([create(&lost, "room again")])).await;
    assert_eq!(
        world.read(&format!("0 1 {lost}")).await,
        "small - room again"
    );
}

/// Lists the rules once for every store.
macro_rules! conformance {
    ($($store:ident: $subject:ty;)*) => { $(
        mod $store {
            conformance! { @rules $subject:
                a_write_must_know_the_present_revision,
                a_revision_never_comes_back_after_a_delete,
                a_unit_happens_whole_or_not_at_all,
                a_conflict_fails_only_its_unit,
                of_two_writers_one_wins,
                every_handle_sees_what_was_answered,
                expect_fails_a_unit_whose_premise_moved,
                keep_creates_once,
                keep_only_moves_a_wake_later,
                due_is_ordered_limited_and_names_the_next,
                a_wake_moves_with_its_document,
                without_a_wake_nothing_is_ever_due,
                scan_pages_in_key_order,
                history_is_paged_newest_first,
                a_sweep_takes_the_oldest_and_no_more_than_its_limit,
                depth_counts_documents_by_kind_and_what_is_due,
                a_crash_leaves_exactly_what_was_answered,
                a_torn_write_loses_only_what_was_not_answered,
                a_full_store_says_so_and_goes_on_when_there_is_room,
            }
        }
    )* };
    (@rules $subject:ty: $($rule:ident,)*) => { $(
        #[tokio::test]
        async fn $rule() {
            super::$rule(super::World::<$subject>::new()).await;
        }
    )* };
}
conformance! {
    memory: crate::store::memory::tests::Memory;
    sqlite: crate::store::sqlite::tests::OnDisk;
}

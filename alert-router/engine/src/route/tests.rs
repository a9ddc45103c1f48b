//! Where alerts go, what is inherited, and which edits keep a route's identity.

use proptest::prelude::*;

use super::*;

/// What is edited, and how.
type Edit<'a> = (&'a str, &'a dyn Fn(&mut RouteSpec));

fn labels(text: &str) -> Labels {
    text.split_whitespace()
        .filter_map(|pair| pair.split_once('='))
        .collect()
}

fn spec(receiver: &str, matchers: &str, routes: Vec<RouteSpec>) -> RouteSpec {
    RouteSpec {
        receiver: (!receiver.is_empty()).then(|| receiver.to_owned()),
        matchers: Matchers::parse(matchers).unwrap(),
        routes,
        ..RouteSpec::default()
    }
}

fn going_on(spec: RouteSpec) -> RouteSpec {
    RouteSpec {
        continues: true,
        ..spec
    }
}

fn by(names: &[&str]) -> Option<GroupBy> {
    Some(GroupBy::Labels(
        names.iter().map(|n| (*n).to_owned()).collect(),
    ))
}

fn tree(root: &RouteSpec) -> RouteTree {
    RouteTree::new(root).unwrap()
}

fn receivers(tree: &RouteTree, of: &str) -> String {
    let found: Vec<&str> = tree
        .find(&labels(of))
        .iter()
        .map(|r| &*r.receiver)
        .collect();
    found.join(",")
}

fn ids(root: &RouteSpec, of: &str) -> Vec<RouteId> {
    tree(root).find(&labels(of)).iter().map(|r| r.id).collect()
}

/// The example that Alertmanager's documentation made familiar.
fn office() -> RouteSpec {
    let db = spec(
        "db",
        "service=~\"mysql|cassandra\"",
        vec![
            spec("dba-phone", "severity=critical", vec![]),
            spec("", "owner=ops", vec![]),
        ],
    );
    let audit = going_on(spec("audit", "severity=~\"critical|warning\"", vec![]));
    spec(
        "default",
        "",
        vec![audit, db, spec("frontend", "team=frontend", vec![])],
    )
}

#[test]
fn an_alert_goes_to_the_first_deepest_match_and_on_where_told_to() {
    let office = tree(&office());
    for (of, heard_by) in [
        ("", "default"),
        ("severity=info", "default"),
        ("severity=critical", "audit"),
        ("team=frontend", "frontend"),
        ("team=frontend severity=warning", "audit,frontend"),
        ("service=mysql", "db"),
        ("service=mysqld", "default"),
        ("service=mysql severity=critical", "audit,dba-phone"),
        ("service=mysql owner=ops", "db"),
        ("service=mysql team=frontend", "db"),
    ] {
        assert_eq!(receivers(&office, of), heard_by, "{of}");
    }
}

#[test]
fn a_child_inherits_what_it_does_not_say() {
    let mut root = office();
    root.group_by = by(&["alertname"]);
    root.group_interval = Some(Duration::from_secs(60));
    root.routes[1].group_wait = Some(Duration::from_secs(1));
    root.routes[1].repeat_interval_max = Some(Duration::from_secs(86_400));
    root.routes[1].routes[0].group_by = Some(GroupBy::All);
    root.routes[1].routes[1].group_by = by(&[]);
    let tree = tree(&root);
    let shown: Vec<String> = tree
        .routes()
        .map(|r| {
            let t = r.timers;
            let (wait, pause, again) = (t.group_wait, t.group_interval, t.repeat_interval);
            let most = t.repeat_interval_max;
            format!(
                "{} {} {:?} {wait:?} {pause:?} {again:?} {most:?}",
                r.path, r.receiver, r.group_by
            )
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn group_labels_are_those_of_group_by_that_the_alert_has() {
    let of = labels("alertname=A instance=i job=j");
    for (group_by, expected) in [
        (by(&["alertname", "cluster"]), "alertname=A"),
        (by(&[]), ""),
        (None, ""),
        (Some(GroupBy::All), "alertname=A instance=i job=j"),
    ] {
        let root = RouteSpec {
            group_by,
            ..spec("x", "", vec![])
        };
        let tree = tree(&root);
        assert_eq!(tree.find(&of)[0].group_labels(&of), labels(expected));
    }
}

#[test]
fn f_09_siblings_with_the_same_matchers_are_two_routes_and_two_groups() {
    let twin = |receiver| going_on(spec(receiver, "team=db", vec![]));
    let tree = tree(&spec("default", "", vec![twin("a"), twin("b"), twin("b")]));
    let found = tree.find(&labels("team=db"));
    let groups: BTreeSet<GroupId> = found.iter().map(|r| r.group(&labels("team=db"))).collect();
    assert_eq!((found.len(), groups.len()), (3, 3));
    assert_eq!(found[0].path, found[1].path);
}

#[test]
fn edits_elsewhere_keep_a_route_and_edits_of_itself_do_not() {
    let of = "service=mysql severity=critical";
    let before = ids(&office(), of);
    let edited = |edit: &dyn Fn(&mut RouteSpec)| {
        let mut root = office();
        edit(&mut root);
        ids(&root, of)
    };
    let kept: [Edit<'_>; 4] = [
        ("timers", &|r| {
            r.routes[1].routes[0].group_wait = Some(Duration::ZERO)
        }),
        ("group_by", &|r| r.routes[1].group_by = Some(GroupBy::All)),
        ("a new route in front", &|r| {
            r.routes.insert(0, spec("new", "team=new", vec![]))
        }),
        ("order of siblings", &|r| r.routes[1..].reverse()),
    ];
    for (what, edit) in kept {
        assert_eq!(edited(edit), before, "{what}");
    }
    let lost: [Edit<'_>; 3] = [
        ("receiver", &|r| {
            r.routes[1].routes[0].receiver = Some("other".to_owned())
        }),
        ("matchers above", &|r| {
            r.routes[1].matchers = Matchers::parse("service=mysql").unwrap()
        }),
        ("matchers", &|r| {
            r.routes[1].routes[0].matchers = Matchers::parse("severity=~critical").unwrap();
        }),
    ];
    for (what, edit) in lost {
        assert_eq!(edited(edit)[0], before[0], "{what}");
        assert_ne!(edited(edit)[1], before[1], "{what}");
    }
}

#[test]
fn the_hash_changes_with_anything_that_changes_routing() {
    let hash = |root: &RouteSpec| tree(root).hash();
    let mut timers = office();
    timers.repeat_interval = Some(Duration::from_secs(1));
    let mut order = office();
    order.routes.reverse();
    assert_eq!(hash(&office()), hash(&office()));
    assert_ne!(hash(&office()), hash(&timers));
    assert_ne!(hash(&office()), hash(&order));
}

#[test]
fn a_root_must_take_everything_and_tell_somebody() {
    for (root, error) in [
        (spec("", "", vec![]), RouteError::NoReceiver),
        (spec("x", "a=b", vec![]), RouteError::RootMatches),
        (going_on(spec("x", "", vec![])), RouteError::RootContinues),
    ] {
        assert_eq!(RouteTree::new(&root), Err(error));
    }
}

#[test]
fn the_rhythm_and_its_wait_depend_on_who_waited_unless_the_route_says_so() {
    let timers = |wait: Option<u64>, timing| Timers {
        group_wait: wait.map(Duration::from_secs),
        timing,
        ..Inherited::root("x").timers
    };
    for (timers, waited, expected) in [
        (timers(None, None), true, (Timing::Settled, 5)),
        (timers(None, None), false, (Timing::Ticking, 30)),
        (timers(Some(1), None), false, (Timing::Ticking, 1)),
        (
            timers(None, Some(Timing::Ticking)),
            true,
            (Timing::Ticking, 30),
        ),
        (
            timers(Some(0), Some(Timing::Settled)),
            false,
            (Timing::Settled, 0),
        ),
    ] {
        let timing = timers.timing(waited);
        let wait = timers.group_wait(timing).as_secs();
        assert_eq!((timing, wait), expected);
    }
}

/// The rule once more, on the tree as it is written.
fn walk<'s>(
    spec: &'s RouteSpec,
    of: &Labels,
    receiver: &'s str,
    heard_by: &mut Vec<&'s str>,
) -> bool {
    if !spec.matchers.matches(of) {
        return false;
    }
    let receiver = spec.receiver.as_deref().unwrap_or(receiver);
    let mut any = false;
    for child in &spec.routes {
        let took = walk(child, of, receiver, heard_by);
        any |= took;
        if took && !child.continues {
            break;
        }
    }
    if !any {
        heard_by.push(receiver);
    }
    true
}

fn any_spec() -> impl Strategy<Value = RouteSpec> {
    let node = |routes: BoxedStrategy<Vec<RouteSpec>>| {
        let matchers = prop::sample::select(vec![
            "",
            "a=x",
            "a=y",
            "a!=x",
            "b=~\"x|y\"",
            "b=\"\"",
            "a=x,b=y",
        ]);
        ("[rst]?", matchers, any::<bool>(), routes).prop_map(|(receiver, matchers, on, routes)| {
            let spec = spec(&receiver, matchers, routes);
            if on { going_on(spec) } else { spec }
        })
    };
    let leaf = node(Just(vec![]).boxed()).boxed();
    leaf.prop_recursive(3, 24, 4, move |inner| {
        node(prop::collection::vec(inner, 0..4).boxed())
    })
}

proptest! {
    #[test]
    fn the_tree_finds_what_a_plain_walk_finds(
        children in prop::collection::vec(any_spec(), 0..4),
        a in "[xyz]?",
        b in "[xyz]?",
    ) {
        let root = spec("root", "", children);
        let of: Labels = [("a", a), ("b", b)].into_iter().filter(|(_, v)| !v.is_empty()).collect();
        let mut heard_by = Vec::new();
        walk(&root, &of, "", &mut heard_by);
        let tree = tree(&root);
        let found: Vec<&str> = tree.find(&of).iter().map(|r| &*r.receiver).collect();
        prop_assert_eq!(found, heard_by);
        let all: BTreeSet<RouteId> = tree.routes().map(|r| r.id).collect();
        prop_assert_eq!(all.len(), tree.routes().len(), "ids are unique");
    }
}
